"""Parameters that are variables of the chat template: what they change, and where they cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    LoadedModel,
    Parameter,
    ParameterError,
    TokenizerMissing,
    get_algorithm,
    load_model,
    register_algorithm,
)
from tests.support.program import Llada, error

pytestmark = [
    pytest.mark.usefixtures("world"),
    pytest.mark.filterwarnings("ignore::llada_core.NoChatTemplate"),
]

TEMPLATE = (
    "{{ messages[0]['content'] }}{% if style is defined %}-{{ style }}{% endif %}"
    "{{ '+' if think is defined and think }}"
)
OPTIONS = (
    Parameter(name="think", kind=bool, default=False, aliases=("reason",)),
    Parameter(name="style", kind=str, nullable=True, default=None),
)


@pytest.fixture
def thinker() -> type:
    """The registered algorithm ``thinker``, which hands ``think`` and ``style`` to the template."""
    kind, parameters = type(get_algorithm("opaque")), get_algorithm("opaque").parameters
    facts = {"name": "thinker", "engine": "fake", "parameters": (*parameters, *OPTIONS)}
    made = type("Thinker", (kind,), {**facts, "chat_options": ("think", "style")})
    register_algorithm(made)
    return made


@pytest.fixture
def lm(folder: Path, thinker: type) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield with_template(model, TEMPLATE)


def with_template(lm: LoadedModel, template: Any) -> LoadedModel:
    lm.model.tokenizer.chat_template = template
    return lm


def prompt_of(lm: LoadedModel, prompt: Any = "Hello", **variables: Any) -> str:
    """The prompt as the network sees it."""
    ids, _ = lm.algorithm("thinker").tokenize_prompts(prompt, **variables)
    text: str = lm.model.tokenizer.decode(ids[0])
    return text


def test_the_template_gets_the_effective_values(lm: LoadedModel) -> None:
    assert prompt_of(lm) == "Hello"
    assert prompt_of(lm, think=True) == "Hello+"
    assert prompt_of(lm, [{"role": "user", "content": "Hi"}], style="brief") == "Hi-brief"
    assert prompt_of(lm, reason=True) == "Hello+"


def test_a_generation_hands_them_over_and_tells_them(lm: LoadedModel) -> None:
    result = lm.generate("Hello", algorithm="thinker", think=True)
    assert result.prompt_tokens == len("Hello+")
    assert result.parameters["think"] is True
    assert lm.generate("Hello", algorithm="thinker").prompt_tokens == len("Hello")


def test_another_algorithm_hands_over_nothing(lm: LoadedModel) -> None:
    with pytest.raises(ParameterError, match="opaque does not take think"):
        lm.generate("Hello", algorithm="opaque", think=True)


@pytest.mark.parametrize(
    ("prompt", "raw", "template", "said"),
    [
        ([1, 2], False, TEMPLATE, "the prompt is token ids; give text or messages, or leave think out"),
        ("Hello", True, TEMPLATE, "raw leaves the chat template out; give only one of raw and think"),
        ("Hello", False, None, "this model's tokenizer has no chat template; leave think out"),
        (
            "Hello",
            False,
            "{{ messages[0]['content'] }}{{ rethink }}",
            "this model's chat template does not use it; leave think out",
        ),
    ],
)
def test_a_value_that_nothing_reads_is_refused_and_its_default_is_not(
    lm: LoadedModel, prompt: Any, raw: bool, template: str | None, said: str
) -> None:
    with_template(lm, template)
    with pytest.raises(ParameterError) as caught:
        lm.generate(prompt, algorithm="thinker", raw=raw, think=True)
    assert str(caught.value) == f"think=True has no effect: {said}"
    assert (caught.value.parameter, caught.value.value) == ("think", True)
    assert lm.generate(prompt, algorithm="thinker", raw=raw, think=False).token_ids


def test_of_several_templates_the_one_in_use_counts(lm: LoadedModel) -> None:
    with_template(lm, {"default": "{{ messages[0]['content'] }}", "tool_use": TEMPLATE})
    with pytest.raises(ParameterError, match="this model's chat template does not use it"):
        prompt_of(lm, think=True)


def test_without_a_tokenizer_text_is_what_cannot_be_had(
    make_folder: Callable[..., Path], thinker: type
) -> None:
    with load_model(make_folder(with_tokenizer=False)) as lm, pytest.raises(TokenizerMissing):
        lm.generate("Hello", algorithm="thinker", think=True)


def test_what_is_no_variable_does_not_tokenize(lm: LoadedModel) -> None:
    with pytest.raises(
        ParameterError, match="gen_length does not change the prompts of thinker, which take think, style"
    ):
        prompt_of(lm, gen_length=4)
    with pytest.raises(ParameterError, match="opaque, which take no variables; leave it out"):
        lm.algorithm("opaque").tokenize_prompts("Hello", seed=4)


def test_a_variable_of_the_wrong_type_is_refused(lm: LoadedModel) -> None:
    with pytest.raises(ParameterError, match="think='yes' has the wrong type"):
        prompt_of(lm, think="yes")


def test_the_command_line_refuses_it_as_a_wrong_call(folder: Path, thinker: type, llada: Llada) -> None:
    call = ["generate", "Hello", "--model", str(folder), "--algorithm", "thinker", "-p", "think=true"]
    told = error(llada(*call), status=2)
    assert "think=True has no effect: this model's chat template does not use it" in told


def test_options_are_for_a_prompt_that_is_still_to_be_written(lm: LoadedModel) -> None:
    algorithm = lm.algorithm("thinker")
    values = algorithm.validate_args(think=True)
    algorithm.check_chat(values, read={"think"})
    algorithm.check_chat(algorithm.validate_args(), read=())
    with pytest.raises(ParameterError, match="think=True has no effect on a prompt of ids; give it to tok"):
        algorithm.check_chat(values, read=())


@pytest.mark.parametrize(
    ("prompt", "raw", "template", "read"),
    [
        ("Hi", False, TEMPLATE, {"think", "style"}),
        ("Hi", False, "{{ messages[0]['content'] }} {{ style }}", {"style"}),
        ("Hi", False, None, set()),
        ("Hi", True, TEMPLATE, set()),
        ([5], False, TEMPLATE, set()),
    ],
)
def test_an_algorithm_is_told_what_the_template_reads(
    lm: LoadedModel,
    thinker: type,
    monkeypatch: pytest.MonkeyPatch,
    prompt: Any,
    raw: bool,
    template: str | None,
    read: set[str],
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(thinker, "check_chat", lambda self, params, *, read: asked.append(read))
    with_template(lm, template).generate(prompt, algorithm="thinker", raw=raw)
    assert asked == [read]
