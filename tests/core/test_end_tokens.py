"""Which tokens end an answer: all that the parts of a checkpoint declare, whoever reads the answer."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llada_core import ModelLoadError, get_algorithm, load_model
from llada_core.checkpoints.ends import EndToken, EndTokenWarning, declared_by_tokenizer
from llada_core.generation.model import Model, note_end_tokens
from tests.support.program import Llada

pytestmark = pytest.mark.usefixtures("world")

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENIZER, TEMPLATE = "the tokenizer's eos_token", "the chat template"


@pytest.fixture
def make(make_folder: Callable[..., Path], tokenizer: Any) -> Callable[..., Path]:
    """A function that writes a checkpoint; ``generation`` goes into ``generation_config.json``."""

    def written(*, generation: Any = None, config: Any = ..., template: Any = ..., **more: Any) -> Path:
        folder = make_folder(**more)
        if generation is not None:
            (folder / GENERATION).write_text(json.dumps({"eos_token_id": generation}))
        if config is not ...:
            fields = json.loads((folder / CONFIG).read_text())
            (folder / CONFIG).write_text(json.dumps({**fields, "eos_token_id": config}))
        if template is not ...:
            (folder / "chat_template.jinja").write_text(template)
        return folder

    return written


def ends(folder: Path) -> dict[str, tuple[str, ...]]:
    """The end tokens of a checkpoint by their text, with their sources."""
    with load_model(folder) as lm:
        return {str(end.text): end.sources for end in lm.model.end_tokens}


def turns(end: str, *, last: str | None = None) -> str:
    """A template that writes ``end`` behind each turn, or ``last`` behind the last one."""
    return (
        "{% for m in messages %}{{ m['role'] + ':' + m['content'] }}"
        f"{{{{ '{last or end}' if loop.last else '{end}' }}}}"
        "{% endfor %}"
    )


# -- sources


def test_every_part_of_a_checkpoint_is_asked(make: Any) -> None:
    assert ends(make(generation=[257, 65])) == {
        "<|endoftext|>": (CONFIG, GENERATION, TOKENIZER),
        "b": (GENERATION,),
        "<|eot_id|>": (TEMPLATE,),
    }


@pytest.mark.parametrize("listed", [65, [65], [65, 65]])
def test_ids_are_one_or_a_list(make: Any, listed: Any) -> None:
    assert ends(make(generation=listed))["b"] == (GENERATION,)
    assert ends(make(config=listed))["b"] == (CONFIG,)


@pytest.mark.parametrize("source", [{"generation": 257}, {}])
def test_what_the_config_leaves_out_its_siblings_say(make: Any, source: Any) -> None:
    found = ends(make(config=None, **source))
    assert found["<|endoftext|>"] == (*((GENERATION,) if source else ()), TOKENIZER)


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (turns("<|end_header_id|>"), {"<|end_header_id|>"}),
        (turns("<|end_header_id|>\n"), {"<|end_header_id|>"}),
        (turns("\n<|eot_id|>"), {"<|eot_id|>"}),
        (turns("<|end_header_id|>", last="<|eot_id|>"), {"<|end_header_id|>", "<|eot_id|>"}),
        (turns("<|eot_id|><|end_header_id|>"), {"<|eot_id|>"}),
        (turns("."), set()),
        (turns(""), set()),
        ("{{ 'a' + 3 }}", set()),
        ("{% for m in messages %}", set()),
        ("{{ raise_exception('one') if messages|length > 2 }}" + turns("<|eot_id|>"), {"<|eot_id|>"}),
    ],
)  # fmt: skip
def test_a_template_ends_answers_by_the_special_token_behind_a_turn(
    make: Any, template: str, found: set[str]
) -> None:
    declared = ends(make(template=template))
    assert {text for text, sources in declared.items() if TEMPLATE in sources} == found


def test_of_named_templates_all_are_asked(tokenizer: Any, make_tokenizer_with: Any) -> None:
    named = make_tokenizer_with(
        template={"chat": turns("<|eot_id|>"), "tool_use": turns("<|end_header_id|>")}
    )
    ids = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|eot_id|>", "<|end_header_id|>"])
    assert {token for _, token in declared_by_tokenizer(named)} == set(ids)


def test_a_longer_special_token_is_not_taken_for_the_beginning_of_it(make_tokenizer_with: Any) -> None:
    tokenizer = make_tokenizer_with(template=turns("<|end|>more"))
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|end|>", "<|end|>more"]})
    assert ("the chat template", tokenizer.convert_tokens_to_ids("<|end|>more")) in list(
        declared_by_tokenizer(tokenizer)
    )


def test_a_token_knows_its_name_and_its_sources() -> None:
    end = EndToken(id=5, text="<|im_end|>", sources=(GENERATION, TEMPLATE))
    assert str(end) == "<|im_end|> (id 5), by generation_config.json and the chat template"
    assert str(EndToken(id=5, text=None, sources=(CONFIG,))) == "5, by config.json"
    assert end.as_dict() == {"id": 5, "text": "<|im_end|>", "sources": [GENERATION, TEMPLATE]}


# -- what is wrong


@pytest.mark.parametrize("token", [262, 99999, -1])
def test_an_id_out_of_the_vocabulary_is_ignored_and_told(make: Any, token: int) -> None:
    with pytest.warns(
        EndTokenWarning, match=f"generation_config.json says {token}, which is none of its ids"
    ):
        assert list(ends(make(generation=[257, token]))) == ["<|endoftext|>", "<|eot_id|>"]


def test_the_mask_token_ends_nothing(make: Any) -> None:
    with pytest.warns(EndTokenWarning, match="says 258, which is its mask token"):
        assert list(ends(make(generation=258))) == ["<|endoftext|>", "<|eot_id|>"]


@pytest.mark.parametrize("value", ["257", 2.0, True, [257, None], {"a": 1}])
def test_what_is_no_id_is_a_load_error(make: Any, value: Any) -> None:
    with pytest.raises(ModelLoadError, match=r"generation_config\.json: eos_token_id = .* is neither an id"):
        load_model(make(generation=value))


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_file_that_is_no_json_object_is_a_load_error(folder: Path, text: str) -> None:
    (folder / GENERATION).write_text(text)
    with pytest.raises(ModelLoadError, match=r"generation_config\.json"):
        load_model(folder)


def test_a_checkpoint_without_any_says_so(make: Any) -> None:
    folder = make(config=None, with_tokenizer=False)
    with pytest.warns(EndTokenWarning, match="declares no end token, so every answer is as long as gen_len"):
        assert ends(folder) == {}


def test_a_network_without_attributes_says_so(folder: Path) -> None:
    with pytest.warns(EndTokenWarning, match="object takes no attribute end_tokens"):
        note_end_tokens(object(), folder, None)


# -- who reads them


def test_an_answer_ends_at_any_of_them(make: Any, tokenizer: Any) -> None:
    (dot,) = tokenizer(".")["input_ids"]
    for changes in ({"generation": [257, dot]}, {"config": dot}):
        with load_model(make(**changes)) as lm:
            for algorithm in ("pairs", "opaque"):
                result = lm.generate("Hello", algorithm=algorithm)
                assert (result.text, result.finish_reason) == ("Hi there", "stop")


def test_whoever_decodes_on_a_loaded_network_ends_answers_alike(make: Any, tokenizer: Any) -> None:
    (dot,) = tokenizer(".")["input_ids"]
    with load_model(make(generation=dot)) as lm:
        other = get_algorithm("opaque")
        (answer,) = other.answers(lm.model.network, [[65]], other.validate_args(gen_length=20))
        assert answer.token_ids[-1] == dot
        assert Model.of(lm.model.network).end_ids == lm.model.end_ids


def test_a_tokenizer_that_comes_later_has_its_say(make: Any, tokenizer: Any) -> None:
    pairs = get_algorithm("pairs")
    network = pairs.load_model_from_hf(make(generation=65, with_tokenizer=False))
    assert Model.of(network).end_ids == {257, 65}
    assert Model.of(network, tokenizer).end_ids == {257, 65, tokenizer.convert_tokens_to_ids("<|eot_id|>")}


def test_a_network_in_memory_is_asked_for_both_its_configs() -> None:
    network = SimpleNamespace(
        config=SimpleNamespace(eos_token_id=1), generation_config=SimpleNamespace(eos_token_id=[1, 21])
    )
    assert [(end.id, end.sources) for end in Model.of(network).end_tokens] == [
        (1, ("the network's config", "the network's generation_config")),
        (21, ("the network's generation_config",)),
    ]


def test_what_only_the_class_of_a_config_knows_is_noted(make: Any) -> None:
    network = SimpleNamespace(config=SimpleNamespace(eos_token_id=7))
    note_end_tokens(network, make(config=None, generation=9, with_tokenizer=False), None)
    assert [(end.id, end.sources) for end in network.end_tokens] == [
        (9, (GENERATION,)),
        (7, ("the network's config",)),
    ]


def test_padding_that_the_network_does_not_know_gives_way_to_an_end(tokenizer: Any) -> None:
    network = SimpleNamespace(config=SimpleNamespace(eos_token_id=7, vocab_size=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EndTokenWarning)  # its eos_token is out of this vocabulary too
        assert Model.of(network, tokenizer).pad_id == 7


def test_the_doctor_says_which_they_are_and_why(make: Any, llada: Llada) -> None:
    folder = make(generation=65)
    _, out, _ = llada("doctor", "--model", str(folder))
    assert "  answers end at   b (id 65), by generation_config.json\n" in out
    assert "  answers end at   <|eot_id|> (id 261), by the chat template\n" in out
    _, out, _ = llada("doctor", "--model", str(folder), "--json")
    assert {"id": 65, "text": "b", "sources": [GENERATION]} in json.loads(out)["model"]["end_tokens"]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "cannot be read"), ('{"eos_token_id": "x"}', "neither an id")]
)
def test_the_doctor_says_why_it_cannot_tell(folder: Path, llada: Llada, text: str, said: str) -> None:
    (folder / GENERATION).write_text(text)
    _, out, _ = llada("doctor", "--model", str(folder))
    assert "  ends of answers: " in out
    assert said in out


def test_the_ids_of_answers_are_cut_there(make: Any) -> None:
    with load_model(make(generation=65)) as lm:
        assert lm.algorithm().decode_outputs(torch.tensor([[67, 65, 67]]), 0) == ["d"]
