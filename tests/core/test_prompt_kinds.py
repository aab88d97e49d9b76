"""What a prompt may be given as, everywhere that one is taken, and how what is none is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llada_core import (
    GenerationRequest,
    LladaError,
    LoadedModel,
    PromptError,
    UnknownAlgorithm,
    UsageError,
    get_algorithm,
    load_model,
)
from llada_core.generation.prompt_kinds import (
    holds_ids,
    id_rows,
    lengths_of,
    mask_rows,
    one_prompt,
    prompts_of,
)

USER = {"role": "user", "content": "Hi"}
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class Pair:
    """An iterable that is nothing else."""

    def __iter__(self) -> Iterator[int]:
        return iter((3, 4))


@pytest.fixture
def lm(world: Any, folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


# -- one prompt


@pytest.mark.parametrize(
    "ids",
    [
        [3, 4],
        (3, 4),
        range(3, 5),
        deque([3, 4]),
        Pair(),
        np.array([3, 4]),
        np.array([3, 4], dtype=np.uint8),
        np.array([3, 4], dtype=object),
        [np.int64(3), np.uint8(4)],
        *[torch.tensor([3, 4], dtype=dtype) for dtype in INTEGERS],
        [torch.tensor(3), torch.tensor(4)],
        {"input_ids": [3, 4]},
        {"input_ids": [9, 3, 4], "attention_mask": [0, 1, 1]},
        {"input_ids": [3, 4, 9], "attention_mask": torch.tensor([1, 1, 0])},
    ],
    ids=lambda ids: f"{type(ids).__name__}{getattr(ids, 'dtype', '')}",
)
def test_ids_are_one_prompt_of_plain_integers(ids: Any) -> None:
    found = prompts_of(ids)
    assert (found.prompts, found.single) == (((3, 4),), True)
    assert {type(token) for token in found.prompts[0]} == {int}


@pytest.mark.parametrize("make", [iter, lambda ids: (i for i in ids), lambda ids: map(int, ids)])
def test_an_iterator_is_read_once(make: Callable[[Any], Any]) -> None:
    assert prompts_of(make([3, 4])).prompts == ((3, 4),)


def test_text_and_messages_are_one_prompt() -> None:
    assert prompts_of("Hi").prompts == ("Hi",)
    assert prompts_of(np.str_("Hi")).single
    assert prompts_of((USER, USER)).prompts == ([USER, USER],)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1))
def test_every_kind_of_the_same_ids_is_the_same_prompt(ids: list[int]) -> None:
    kinds = (ids, tuple(ids), iter(ids), np.array(ids), torch.tensor(ids), {"input_ids": ids})
    assert {one_prompt(kind) for kind in kinds} == {tuple(ids)}


# -- several


@pytest.mark.parametrize(
    "prompts",
    [
        [[3, 4], [5, 6]],
        ([3, 4], (5, 6)),
        np.array([[3, 4], [5, 6]]),
        torch.tensor([[3, 4], [5, 6]], dtype=torch.int32),
        [torch.tensor([3, 4]), np.array([5, 6])],
        (range(n, n + 2) for n in (3, 5)),
        {
            "input_ids": torch.tensor([[3, 4, 9], [9, 5, 6]]),
            "attention_mask": np.array([[1, 1, 0], [0, 1, 1]]),
        },
        [{"input_ids": [9, 3, 4], "attention_mask": [0, 1, 1]}, [5, 6]],
    ],
    ids=lambda prompts: type(prompts).__name__,
)
def test_rows_of_ids_are_a_list_of_prompts(prompts: Any) -> None:
    found = prompts_of(prompts)
    assert (found.prompts, found.single) == (((3, 4), (5, 6)), False)


def test_a_list_may_mix_text_messages_and_ids() -> None:
    assert prompts_of(["Hi", [USER], [3, 4]]).prompts == ("Hi", [USER], (3, 4))


@pytest.mark.parametrize("one", [["Hi"], ("Hi",), iter(["Hi"]), np.array(["Hi"]), torch.tensor([[3]])])
def test_a_list_of_one_is_a_list(one: Any) -> None:
    assert not prompts_of(one).single


def test_what_a_tokenizer_returns_is_a_prompt_or_a_list_of_them(tokenizer: Any) -> None:
    two = tokenizer(["a", "bcd"], padding=True, return_tensors="pt")
    assert prompts_of(two).prompts == tuple(tuple(tokenizer(text)["input_ids"]) for text in ("a", "bcd"))
    assert prompts_of(tokenizer("a")).single


# -- what is no prompt

NO_PROMPTS = {
    "None": (None, r"the prompt is None \(NoneType\); give text, a list of messages"),
    "int": (3, r"the prompt is 3 \(int\); give"),
    "float": (3.5, r"the prompt is 3.5 \(float\); give"),
    "bool": (True, r"the prompt is True \(bool\); give"),
    "dict": ({"text": "Hi"}, r"the prompt is \{'text': 'Hi'\} \(dict\); give"),
    "one message": (USER, "put a message in a list"),
    "bytes": (b"Hi", r"bytes become text by decode\(\)"),
    "bytearray": (bytearray(b"Hi"), r"bytes become text by decode\(\)"),
    "set": ({3, 4}, "a set has no order"),
    "frozenset": (frozenset("ab"), "a set has no order"),
    "object": (object(), r"\(object\); give text"),
    "class": (str, r"\(type\); give text"),
    "empty list": ([], "the prompt is empty; write what is to be answered"),
    "empty iterator": (iter(()), "the prompt is empty"),
    "empty tensor": (torch.zeros(0, dtype=torch.int64), "the prompt is empty"),
    "no rows": (torch.zeros(0, 3, dtype=torch.int64), "the prompt is empty"),
    "empty rows": (torch.zeros(2, 0, dtype=torch.int64), "prompt 0 of the list is empty; leave it out"),
    "one empty": ([[3], []], "prompt 1 of the list is empty; leave it out"),
    "all padding": ({"input_ids": [3], "attention_mask": [0]}, "the prompt is empty"),
    "bools": ([True, False], r"position 0 of the prompt is True \(bool\); give token ids as integers"),
    "bool array": (np.array([True]), r"a bool array of shape \[1\]; give ids as integers, such as int64"),
    "bool tensor": (torch.tensor([True]), r"a bool array of shape \[1\]"),
    "bool scalars": ([torch.tensor(True)], "position 0 of the prompt is tensor"),
    "floats": ([3, 4.0], r"position 1 of the prompt is 4.0 \(float\)"),
    "float array": (np.array([3.0]), r"a float64 array of shape \[1\]"),
    "float tensor": (torch.ones(1, 2), r"a float32 array of shape \[1, 2\]"),
    "half tensor": (torch.ones(2, dtype=torch.bfloat16), r"a bfloat16 array"),
    "no axis": (torch.tensor(3), r"an int64 array of shape \[\]; give ids \[P\], or \[B, P\] for several"),
    "three axes": (np.zeros((1, 1, 1), dtype=int), r"an int64 array of shape \[1, 1, 1\]"),
    "no values": (torch.empty(2, dtype=torch.int64, device="meta"), "cannot be read .* in memory"),
    "text and ids": (["a", 1], "a list that holds str and int, which is no prompt; give text"),
    "ids and text": ([1, "a"], "a list that holds int and str"),
    "text and messages": (["a", USER], "a list that holds str and dict"),
    "nested": ([[[1]]], "prompt 0 of the list is a list that holds list"),
    "nested text": ([["a", "b"]], "prompt 0 of the list is a list that holds str"),
    "nones": ([None], "position 0 of the prompt is None"),
    "byte strings": ([b"a"], "position 0 of the prompt is b'a'"),
    "sets": ([{1}], r"position 0 of the prompt is \{1\}"),
    "huge": ([2**70], "which is no id of any vocabulary"),
    "mask of another length": ({"input_ids": [1, 2], "attention_mask": [1]}, "they must be equal"),
    "mask of other rows": ({"input_ids": [[1]], "attention_mask": [[1], [1]]}, "they must be equal"),
    "mask with a hole": ({"input_ids": [1, 2, 3], "attention_mask": [1, 0, 1]}, "a 0 between two 1"),
    "no ids": ({"input_ids": None}, "input_ids is None"),
    "text as ids": ({"input_ids": "Hi"}, "input_ids is 'Hi'"),
}
each_no_prompt = pytest.mark.parametrize(("prompt", "said"), NO_PROMPTS.values(), ids=NO_PROMPTS)


@each_no_prompt
def test_what_is_no_prompt_is_a_prompt_error_that_names_it(prompt: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        prompts_of(prompt)


EVERYWHERE: dict[str, Callable[[LoadedModel, Any], object]] = {
    "generate": lambda lm, prompt: lm.generate(prompt),
    "stream": lambda lm, prompt: lm.stream(prompt),
    "generate_batch": lambda lm, prompt: lm.generate_batch([GenerationRequest(prompt=prompt)]),
    "submit": lambda lm, prompt: lm.session().submit(GenerationRequest(prompt=prompt)),
    "tokenize_prompts": lambda lm, prompt: lm.algorithm().tokenize_prompts(prompt),
    "batch of an algorithm": lambda lm, prompt: lm.algorithm().generate_batch(prompt),
}
WRONG = (None, 3, 3.5, {"a": 1}, b"Hi", True, [], [3, "a"], [True], {3}, [262], [-1], "cut \ud83d")


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize("prompt", WRONG, ids=ascii)
def test_it_is_so_wherever_a_prompt_is_taken(lm: LoadedModel, where: str, prompt: Any) -> None:
    with pytest.raises(PromptError):
        EVERYWHERE[where](lm, prompt)


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize("make", [list, np.array, torch.tensor, iter, lambda ids: {"input_ids": ids}])
def test_ids_of_every_kind_are_taken_everywhere(lm: LoadedModel, where: str, make: Any) -> None:
    assert EVERYWHERE[where](lm, make([65, 66]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers()),
        max_leaves=6,
    )
)
def test_whatever_is_given_is_a_prompt_or_a_prompt_error(anything: Any) -> None:
    try:
        found = prompts_of(anything)
    except PromptError:
        return
    assert found.prompts
    assert all(isinstance(p, str) or holds_ids(p) or isinstance(p[0], dict) for p in found.prompts)


# -- requests


@pytest.mark.parametrize("given", ["Hi", None, 3, GenerationRequest(prompt="Hi"), {"prompt": "Hi"}])
def test_what_is_no_list_of_requests_is_told(lm: LoadedModel, given: Any) -> None:
    with pytest.raises(UsageError, match="is no list of requests; give a list of them, or take generate"):
        lm.generate_batch(given)


@pytest.mark.parametrize("given", ["Hi", None, 3, [1, 2], {"prompt": "Hi"}])
def test_what_is_no_request_is_told(lm: LoadedModel, given: Any) -> None:
    for call in (lambda: lm.generate_batch([given]), lambda: lm.session().submit(given)):
        with pytest.raises(UsageError, match=r"is no request; give GenerationRequest\(prompt=\.\.\.\)"):
            call()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parameters": 3}, r"parameters=3 \(int\) are no parameters by name; give a dict"),
        ({"parameters": [("a", 1)]}, "are no parameters by name; give a dict"),
        ({"parameters": {3: 1}}, "are no parameters by name; give a dict"),
        ({"algorithm": 3}, r"algorithm=3 \(int\) is no name of one; give a name, or None for the default"),
        ({"algorithm": ["pairs"]}, "is no name of one"),
        ({"raw": "x"}, r"raw='x' \(str\) is neither; give True"),
        ({"raw": None}, "raw=None"),
    ],
)
def test_a_field_of_a_request_of_another_kind_is_told(
    lm: LoadedModel, fields: dict[str, Any], said: str
) -> None:
    request = GenerationRequest(prompt="Hi", **fields)
    for call in (lambda: lm.generate_batch([request]), lambda: lm.session().submit(request)):
        with pytest.raises(UsageError, match=said):
            call()


def test_raw_says_yes_or_no_everywhere(lm: LoadedModel, folder: Path) -> None:
    wrong: Any = "x"
    algorithm = get_algorithm("pairs")
    algorithm.load_model_from_hf(folder)
    for call in (
        lambda: lm.generate("Hi", raw=wrong),
        lambda: lm.stream("Hi", raw=wrong),
        lambda: algorithm.generate_batch("Hi", raw=wrong),
        lambda: algorithm.tokenize_prompts("Hi", raw=wrong),
    ):
        with pytest.raises(UsageError, match=r"raw='x' \(str\) is neither"):
            call()


def test_no_name_is_not_the_default(lm: LoadedModel) -> None:
    with pytest.raises(UnknownAlgorithm, match="no algorithm is called ''"):
        lm.generate("Hi", algorithm="")
    assert lm.generate("Hi", algorithm=None).algorithm == "pairs"


@pytest.mark.parametrize("wrong", ["x", None, 3, []])
def test_what_is_no_ticket_is_told(lm: LoadedModel, wrong: Any) -> None:
    with lm.session() as session, pytest.raises(UsageError, match="is no ticket; give what submit returned"):
        session.cancel(wrong)


@pytest.mark.parametrize(
    "mask", ["x", [1.0, 1.0], np.array([0.0, 1.0]), [2, 1], [None, 1], torch.tensor([0.0, 1.0])]
)
def test_a_mask_that_holds_no_marks_is_told(mask: Any) -> None:
    with pytest.raises(PromptError, match="attention_mask"):
        prompts_of({"input_ids": [3, 4], "attention_mask": mask})
    with pytest.raises(PromptError, match="attention_mask"):
        mask_rows(mask)


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, lambda rows: np.array(rows, dtype=bool)])
def test_a_mask_may_be_of_booleans_too(make: Any) -> None:
    for marks in ([0, 1, 1], [False, True, True]):
        assert prompts_of({"input_ids": [9, 3, 4], "attention_mask": make(marks)}).prompts == ((3, 4),)
        assert mask_rows(make([marks])) == [[False, True, True]]


@pytest.mark.parametrize("several", [["a", "b"], torch.tensor([[1, 2]]), [[1], [2]]])
def test_a_request_has_one_prompt(lm: LoadedModel, several: Any) -> None:
    with pytest.raises(PromptError, match=r"a request has one prompt, and .* give one request for each"):
        lm.generate_batch([GenerationRequest(prompt=several)])


def test_without_a_model_there_is_nothing_to_generate_with(world: Any) -> None:
    with pytest.raises(UsageError, match="pairs was given no model; call load_model_from_hf first"):
        get_algorithm("pairs").check_fits(None)


# -- what comes back


@pytest.mark.parametrize("make", [torch.tensor, np.array, list, lambda rows: torch.tensor(rows).int()])
@pytest.mark.parametrize("width", [2, np.int64(2), [2], (1, 2), torch.tensor([2]), torch.tensor(2)])
def test_answers_are_read_from_tensors_arrays_and_lists(lm: LoadedModel, make: Any, width: Any) -> None:
    hello = lm.model.tokenizer("Hello")["input_ids"]
    rows = make([[9, 9, *hello], [9, 9, *hello]])
    assert lm.algorithm().decode_outputs(rows, width) == ["Hello", "Hello"]


@pytest.mark.parametrize("wrong", [None, "Hi", 3, torch.ones(1, 2), [["a"]], {1: 2}, [[1], 2]])
def test_outputs_that_hold_no_ids_are_told(lm: LoadedModel, wrong: Any) -> None:
    with pytest.raises(PromptError, match="output_ids"):
        lm.algorithm().decode_outputs(wrong, 0)


@pytest.mark.parametrize("wrong", [None, "2", 2.0, [], -1, [1.5]])
def test_lengths_that_are_none_are_told(wrong: Any) -> None:
    with pytest.raises(PromptError, match="prompt_lengths"):
        lengths_of(wrong)


def test_rows_are_read_from_one_row_too() -> None:
    assert id_rows(torch.tensor([3, 4])) == id_rows([[3, 4]]) == [(3, 4)]


def test_an_id_without_a_token_is_left_out_of_the_text(lm: LoadedModel) -> None:
    a = lm.model.tokenizer("a")["input_ids"]
    assert lm.model.decode([*a, 9999, *a]) == "aa"


def test_an_id_that_the_tokenizer_cannot_take_is_a_model_error(lm: LoadedModel) -> None:
    with pytest.raises(LladaError, match=r"the tokenizer of .* cannot decode \(-5,\) .* read the token_ids"):
        lm.model.decode([-5])
