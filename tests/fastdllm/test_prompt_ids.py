"""The small model, given ids of every kind, and with end tokens that stand in other files than its config."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import llada_tiny
from llada_core import LoadedModel, PromptError, UsageError, get_algorithm, load_model
from llada_runtime import LLaDAModel, drain

QUESTION = "What is 12 + 30?"
ZERO = 21  # the id of "0"
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
SHORT = {"gen_length": 8, "block_length": 8}
PROMPT = [[0, 3, 4, 46, 88, 22, 23, 24, 5, 3, 4]]  # fits into an int8, and its answer does not


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with load_model(engine="fast-dllm") as model:
        yield model


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a copy of the small model; fields that are ``...`` are taken out of a file."""

    def made(**files: dict[str, Any]) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(llada_tiny.model_path(), folder)
        for name, changes in files.items():
            file = folder / f"{name}.json"
            fields = {**json.loads(file.read_text()), **changes}
            file.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))
        return folder

    return made


# -- ids in, ids out


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["basic", "dual_cache"])
def test_ids_of_every_integer_dtype_give_int64(lm: LoadedModel, dtype: torch.dtype, name: str) -> None:
    algorithm, network = lm.algorithm(name), lm.model.network
    wanted, nfe = algorithm.generate(network, torch.tensor(PROMPT), early_stop=False, **SHORT)
    found, count = algorithm.generate(network, torch.tensor(PROMPT, dtype=dtype), early_stop=False, **SHORT)
    assert found.dtype == torch.int64
    assert int(found.max()) > 255
    assert (found.tolist(), count) == (wanted.tolist(), nfe)


@pytest.mark.parametrize("make", [np.array, list, torch.tensor, lambda rows: {"input_ids": rows}])
def test_arrays_lists_and_batches_are_prompts_too(lm: LoadedModel, make: Any) -> None:
    wanted, _ = lm.algorithm().generate(lm.model.network, torch.tensor(PROMPT), **SHORT)
    found, _ = lm.algorithm().generate(lm.model.network, make(PROMPT), **SHORT)
    assert found.tolist() == wanted.tolist()


def test_the_padding_of_a_tokenizer_is_not_seen(lm: LoadedModel) -> None:
    algorithm, tokenizer = lm.algorithm(), lm.model.tokenizer
    padded = tokenizer(["Hi", QUESTION], padding=True, return_tensors="pt")
    both, _ = algorithm.generate(lm.model.network, padded, **SHORT)
    alone, _ = algorithm.generate(lm.model.network, tokenizer("Hi", return_tensors="pt"), **SHORT)
    assert both.shape[1] == padded["input_ids"].shape[1] + 8
    assert both[0, -8:].tolist() == alone[0, -8:].tolist()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Hi", r"the prompt is 'Hi' \(str\); give token ids"),
        (None, "the prompt is None"),
        (torch.ones(1, 2), "a float32 array"),
        (torch.tensor([[True]]), "a bool array"),
        ([[1, 2], [3]], r"rows have the lengths \[2, 1\]; pad them on the left"),
        ([[1, -2]], "out of the vocabulary"),
        ([[1536]], "out of the vocabulary"),
        ([], "the prompt is empty"),
    ],
)
def test_what_is_no_tensor_of_ids_is_a_prompt_error(lm: LoadedModel, prompt: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        lm.algorithm().generate(lm.model.network, prompt)


@pytest.mark.parametrize("name", ["basic", "prefix_cache", "dual_cache"])
def test_no_model_is_told(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} was given no model; call load_model_from_hf first"):
        get_algorithm(name).generate(model=None, prompt=torch.tensor([[1]]))


@pytest.mark.parametrize("of", [lambda lm: lm, lambda lm: lm.model])
def test_what_holds_the_network_is_told_where_it_is(
    lm: LoadedModel, of: Callable[[LoadedModel], Any]
) -> None:
    with pytest.raises(UsageError, match=r"which holds the network; give lm\.model\.network, where lm"):
        lm.algorithm().generate(of(lm), torch.tensor([[1]]))


@pytest.mark.parametrize("wrong", ["path", 3, torch.nn.Linear(2, 2), LLaDAModel])
def test_what_is_no_network_is_told(lm: LoadedModel, wrong: Any) -> None:
    with pytest.raises(
        UsageError, match=r"dual_cache was given .*, which is no network; give what load_model"
    ):
        lm.algorithm().generate(wrong, torch.tensor([[1]]))


@pytest.mark.parametrize("mask", ["x", torch.ones(1, 11), [[2] * 11], [1.0] * 11])
def test_a_mask_that_holds_no_marks_is_told(lm: LoadedModel, mask: Any) -> None:
    with pytest.raises(PromptError, match="attention_mask"):
        lm.algorithm().generate(lm.model.network, torch.tensor(PROMPT), attention_mask=mask, **SHORT)


@pytest.mark.parametrize(
    "mask", [torch.ones(1, 11, dtype=torch.bool), [1] * 11, np.ones((1, 11), dtype="int8")]
)
def test_marks_of_any_kind_are_a_mask(lm: LoadedModel, mask: Any) -> None:
    wanted, _ = lm.algorithm().generate(lm.model.network, torch.tensor(PROMPT), **SHORT)
    found, _ = lm.algorithm().generate(lm.model.network, torch.tensor(PROMPT), attention_mask=mask, **SHORT)
    assert found.tolist() == wanted.tolist()


def test_a_mask_of_another_shape_is_told(lm: LoadedModel) -> None:
    told = r"attention_mask has shape \[1, 3\] and the prompt \[1, 11\]; they must be equal"
    with pytest.raises(PromptError, match=told):
        lm.algorithm().generate(lm.model.network, torch.tensor(PROMPT), attention_mask=[[1, 1, 1]], **SHORT)


@pytest.mark.parametrize("make", [torch.tensor, np.array, list])
def test_the_ids_of_a_question_are_answered_as_its_text(lm: LoadedModel, make: Any) -> None:
    ids = lm.algorithm().tokenize_prompts(QUESTION).input_ids[0].tolist()
    assert lm.generate(make(ids)).text == lm.generate(QUESTION).text == "12 + 30 = 42."
    assert [result.text for result in lm.generate(make([ids, ids]))] == ["12 + 30 = 42."] * 2


# -- where answers end


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("basic", {"generation_config": {"eos_token_id": [1, ZERO]}}),
        ("dual_cache", {"config": {"eos_token_id": [1, ZERO]}}),
        ("basic", {"config": {"eos_token_id": ...}, "generation_config": {"eos_token_id": [ZERO, 1]}}),
        ("dual_cache", {"tokenizer_config": {"eos_token": "0"}, "special_tokens_map": {"eos_token": "0"}}),
    ],
    ids=str,
)
def test_an_answer_ends_where_any_file_says(copy: Any, files: Any, name: str) -> None:
    with load_model(copy(**files), engine="fast-dllm") as lm:
        result = lm.generate(QUESTION, algorithm=name)
    assert (result.text, result.finish_reason) == ("12 + 3", "stop")


def test_the_template_alone_ends_answers(copy: Any) -> None:
    """``<|eot_id|>`` is in no file but as what the template writes behind a turn."""
    silent = {"config": {"eos_token_id": ...}, "generation_config": {"eos_token_id": ...}}
    folder = copy(**silent, tokenizer_config={"eos_token": ...})
    (folder / "special_tokens_map.json").unlink()
    with load_model(folder, engine="fast-dllm") as lm:
        assert [end.text for end in lm.model.end_tokens] == ["<|eot_id|>"]
        assert lm.generate(QUESTION).text == "12 + 30 = 42."


def test_the_loop_stops_at_them_too(copy: Any) -> None:
    with load_model(copy(generation_config={"eos_token_id": ZERO}), engine="fast-dllm") as lm:
        ids = lm.algorithm().tokenize_prompts(QUESTION).input_ids[0].tolist()
        for algorithm in (lm.algorithm("basic"), get_algorithm("basic")):  # whoever loaded the network
            params = algorithm.validate_args(gen_length=64, block_length=8, threshold=None)
            row = algorithm.sequence(lm.model.network, ids, params)
            *_, last = drain(lm.model.network, [row], rows=1)
            assert last.finished
            assert row.nfe <= 8
            answer = row.canvas[len(ids) :]
            assert set(answer[answer.index(ZERO) :]) == {ZERO}


def test_early_stop_is_still_a_choice(copy: Any) -> None:
    with load_model(copy(generation_config={"eos_token_id": ZERO}), engine="fast-dllm") as lm:
        whole = lm.generate(QUESTION, algorithm="basic", max_tokens=16, early_stop=False)
        short = lm.generate(QUESTION, algorithm="basic", max_tokens=16, block_length=8)
    assert whole.text == short.text == "12 + 3"
    assert whole.nfe == 16 > short.nfe


@pytest.mark.parametrize("temperature", [1e20, 1e300, 1.7e308, 1.7976931348623157e308])
def test_the_hottest_temperatures_draw_alike_and_never_the_mask(lm: LoadedModel, temperature: float) -> None:
    hot = lm.generate([3, 4], temperature=temperature, seed=1, max_tokens=16, early_stop=False)
    assert (
        hot.token_ids
        == lm.generate([3, 4], temperature=1e9, seed=1, max_tokens=16, early_stop=False).token_ids
    )
    assert len(set(hot.token_ids)) > 8
