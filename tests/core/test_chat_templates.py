"""From conversations to ids: templates that are missing, several, wrong or choosy, and what is said then."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import LoadedModel, ModelError, PromptError, load_model
from llada_core.generation.encoding import NoChatTemplate
from tests.core.conftest import TEMPLATE
from tests.support.program import Llada

pytestmark = pytest.mark.usefixtures("world")

USER = [{"role": "user", "content": "Hello"}]
BROKEN = {
    "a syntax error": ("{% for m in messages %}{{ m.content }", r"has a syntax error in line 1 \(unexpected"),
    "an unknown filter": ("\n{{ messages | lower_case }}", r"has a syntax error in line 2 \(No filter named"),
    "a variable": (
        "{{ date.strftime('%d') }}",
        r"needs what neither .* nor a variable give \('date' is undef",
    ),
    "a field of messages": ("{{ messages[0].name.first }}", r"needs what neither .*'name'"),
    "a wrong type": ("{{ 'a' + 3 }}", r"fails on these messages \(TypeError: can only concatenate"),
    "a division": ("{{ 1 // 0 }}", r"fails on these messages \(ZeroDivisionError"),
    "nothing written": ("{# nothing #}", "writes nothing for these messages"),
}


@pytest.fixture
def load(make_folder: Callable[..., Path]) -> Iterator[Callable[..., LoadedModel]]:
    """A function that loads a model with this template; ``named`` ones are files of their own."""
    loaded: list[LoadedModel] = []

    def made(template: Any = None, **named: str) -> LoadedModel:
        folder = make_folder()
        (folder / "chat_template.jinja").unlink()
        if isinstance(template, str):
            (folder / "chat_template.jinja").write_text(template)
        elif template is not None:
            settings = json.loads((folder / "tokenizer_config.json").read_text())
            (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": template}))
        for name, text in named.items():
            (folder / "additional_chat_templates").mkdir(exist_ok=True)
            (folder / "additional_chat_templates" / f"{name}.jinja").write_text(text)
        loaded.append(load_model(folder))
        return loaded[-1]

    yield made
    for model in loaded:
        model.close()


@pytest.fixture
def lm(load: Any) -> LoadedModel:
    """A model with LLaDA's template, from its file."""
    model: LoadedModel = load(TEMPLATE)
    return model


def prompt_of(lm: LoadedModel, prompt: Any = USER, **options: Any) -> str:
    ids, _ = lm.algorithm().tokenize_prompts(prompt, **options)
    text: str = lm.model.tokenizer.decode(ids[0])
    return text


# -- which template


def test_the_file_of_the_template_is_read(lm: LoadedModel) -> None:
    assert prompt_of(lm).startswith("<|startoftext|><|start_header_id|>user<|end_header_id|>")


def test_of_named_templates_the_default_is_taken(load: Any) -> None:
    named = [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "tools"}]
    assert prompt_of(load(named)) == prompt_of(load(TEMPLATE, tool_use="tools")) == prompt_of(load(TEMPLATE))


@pytest.mark.parametrize(
    ("template", "named", "names"),
    [
        ([{"name": "rag", "template": TEMPLATE}, {"name": "chat", "template": "x"}], {}, "chat, rag"),
        (None, {"rag": TEMPLATE}, "rag"),
        (None, {"rag": TEMPLATE, "tool_use": TEMPLATE}, "rag, tool_use"),
    ],
)
@pytest.mark.parametrize("prompt", ["Hello", USER])
def test_named_templates_without_a_default_are_told_with_the_choice(
    load: Any, template: Any, named: dict[str, str], names: str, prompt: Any
) -> None:
    lm = load(template, **named)
    with pytest.raises(ModelError) as caught:
        lm.generate(prompt)
    assert f"{lm.model.path} has chat templates by name ({names}) and none called default; " in str(
        caught.value
    )
    first = names.partition(",")[0]
    assert f"lm.model.tokenizer.chat_template['{first}'], or give the prompt as text with raw=True" in str(
        caught.value
    )
    assert caught.value.path == lm.model.path


def test_the_choice_that_is_told_works(load: Any) -> None:
    lm = load(None, rag=TEMPLATE)
    lm.model.tokenizer.chat_template = lm.model.tokenizer.chat_template["rag"]
    assert lm.generate(USER).text == "Hi there."


@pytest.mark.parametrize("template", [3, True, {"default": 3}])
def test_a_template_that_is_no_text_is_told(lm: LoadedModel, template: Any) -> None:
    lm.model.tokenizer.chat_template = template
    with pytest.raises(ModelError, match=r"is of the type \w+, not text; correct chat_template\.jinja"):
        lm.generate(USER)


# -- what is wrong with it


@pytest.mark.parametrize(("template", "said"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("prompt", ["Hello", USER])
def test_a_template_that_cannot_be_used_is_a_model_error(
    load: Any, template: str, said: str, prompt: Any
) -> None:
    lm = load(template)
    with pytest.raises(ModelError, match=f"the chat template of .* {said}") as caught:
        lm.generate(prompt)
    assert str(caught.value).endswith(
        "correct chat_template.jinja in its folder, or give the prompt as text with raw=True"
    )
    assert lm.generate("Hello", raw=True).text == "Hi there."


REFUSES = "{{ raise_exception('no') }}"


@pytest.mark.parametrize("template", [REFUSES, f"{{% if messages|length < 2 %}}{REFUSES}{{% endif %}}"])
def test_what_a_template_refuses_is_the_fault_of_the_messages(load: Any, template: str) -> None:
    with pytest.raises(PromptError, match="the chat template refuses these messages: no; rearrange them"):
        load(template).generate(USER)


def test_a_template_of_half_characters_is_told(lm: LoadedModel) -> None:
    lm.model.tokenizer.chat_template = "{{ 'a\ud83d' }}"
    with pytest.raises(PromptError, match="as the chat template writes it, is no text at position 1"):
        lm.generate(USER)


# -- without one


def test_text_without_a_template_is_taken_as_it_stands_and_that_is_said_once(load: Any) -> None:
    lm = load(None)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        assert prompt_of(lm, "Hello") == prompt_of(lm, "Hello") == "Hello"
    (warning,) = told
    assert warning.category is NoChatTemplate
    assert str(warning.message) == (
        f"{lm.model.path} has no chat template, so text is given to the model as it stands and not as a turn "
        "of a conversation; say raw=True (--raw) if that is meant, or add chat_template.jinja to its folder"
    )


def test_who_says_raw_and_who_gives_ids_is_not_warned(load: Any) -> None:
    lm = load("")
    assert prompt_of(lm, "Hello", raw=True) == "Hello"
    assert prompt_of(lm, [65]) == lm.model.tokenizer.decode([65])


def test_messages_without_a_template_are_refused(load: Any) -> None:
    with pytest.raises(PromptError, match="has no chat template; give the prompt as text"):
        load(None).generate(USER)


@pytest.mark.filterwarnings("default::llada_core.generation.encoding.NoChatTemplate")
def test_the_program_says_it_on_stderr(load: Any, llada: Llada) -> None:
    path = load(None).model.path
    status, out, err = llada("generate", "Hello", "--model", path)
    assert status == 0
    assert "Hi there." in out
    assert "has no chat template, so text is given to the model as it stands" in err


# -- messages


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool", "developer", "function"])
def test_the_roles_of_chats_are_known(lm: LoadedModel, role: str) -> None:
    assert f"<|start_header_id|>{role}<|end_header_id|>" in prompt_of(
        lm, [{"role": role, "content": "x"}, *USER]
    )


@pytest.mark.parametrize(
    ("role", "remedy"),
    [
        ("usr", "did you mean 'user'"),
        ("User", "did you mean 'user'"),
        ("human", "give one of"),
        ("", "give one"),
    ],
)
def test_an_unknown_role_is_told_with_what_was_meant(lm: LoadedModel, role: str, remedy: str) -> None:
    with pytest.raises(PromptError, match=f"the role '{role}' is unknown, .* does not name it; {remedy}"):
        lm.generate([{"role": role, "content": "x"}])


def test_a_role_that_the_template_names_is_known(load: Any) -> None:
    lm = load("{% for m in messages %}{% if m.role == 'critic' %}!{% endif %}{{ m.content }}{% endfor %}")
    assert prompt_of(lm, [{"role": "critic", "content": "x"}]) == "!x"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"content": "x"},
        {"role": 3, "content": "x"},
        {"role": "user", "content": None},
        {"role": "user", "content": 3},
        {"role": "user", "content": b"x"},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {},
    ],
    ids=ascii,
)
def test_a_message_is_a_role_and_a_content(lm: LoadedModel, message: Any) -> None:
    with pytest.raises(PromptError, match="a message needs a role and a content, both text, not "):
        lm.generate([message])
