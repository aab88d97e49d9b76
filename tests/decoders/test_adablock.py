"""``adablock`` against what its authors' three functions decoded, and where its blocks end."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_decoders.blocks import AdaptiveBlocks
from llada_runtime import Sequence, drain
from llada_runtime.testing import MASK, FakeNetwork
from tests.decoders.golden_data import Case, check_published, check_stopped, each_case, each_that_stops

pytestmark = pytest.mark.alone

CACHES = {
    "generate_adablock": "none",
    "generate_adablock_prefix_cache": "prefix",
    "generate_adablock_dual_cache": "dual",
}


def params_of(case: Case) -> dict[str, Any]:
    return {**case["params"], "cache": CACHES[case["algorithm"]]}


@each_case("adablock")
def test_tokens_forwards_and_blocks_are_upstreams(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of blocks, where each but the first begins, and after how many forwards."""
    begun: list[tuple[int, int]] = []
    enter = Sequence._enter

    def entered(sequence: Sequence, block: int, start: int) -> None:
        begun.append((start - sequence.prompt_length, sequence.nfe))
        enter(sequence, block, start)

    monkeypatch.setattr(Sequence, "_enter", entered)
    check_published(case, "adablock", params_of(case))
    lengths, forwards = case["expected"]["block_lengths"], case["expected"]["block_nfe"]
    assert begun == list(zip(accumulate([0, *lengths[:-1]]), accumulate([0, *forwards[:-1]]), strict=True))


@each_that_stops("adablock")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "adablock", params_of(case))


def decoded(
    network: FakeNetwork, *, answer: list[int | None] | None = None, **params: Any
) -> list[list[int]]:
    """Positions that each block holds of an answer of 16, whose prompt has 2 tokens; 7 is a delimiter."""
    algorithm = llada_core.get_algorithm("adablock")
    given = {"gen_length": 16, "block_length": 3, "threshold": 0.0, "early_stop": False, "delimiter_ids": "7"}
    row = algorithm.sequence(network, [5, 9], algorithm.validate_args(**{**given, **params}), answer=answer)
    steps = list(drain(network, [row], rows=1))
    assert not [step.error for step in steps if step.error]
    assert MASK not in row.canvas
    return [list(step.positions) for step in steps]


def expecting(**sure: float) -> FakeNetwork:
    """Expects a delimiter at these offsets, as ``p3=0.5``, with this probability; elsewhere token 4."""
    tokens, odds = dict.fromkeys(range(64), 4), dict.fromkeys(range(64), 0.9)
    for offset, probability in sure.items():
        tokens[2 + int(offset[1:])], odds[2 + int(offset[1:])] = 7, probability
    return FakeNetwork.scripted(tokens, odds)


def blocks(*ends: int) -> list[list[int]]:
    starts = [0, *ends[:-1]]
    return [list(range(start, end)) for start, end in zip(starts, ends, strict=True)]


def test_the_surest_delimiter_of_a_quarter_of_the_answer_ends_a_block() -> None:
    assert decoded(expecting(p0=0.4, p1=0.6, p4=0.99)) == blocks(2, 5, 8, 11, 14, 16)
    assert decoded(expecting(p3=0.5)) == blocks(4, 7, 10, 13, 16)  # longer than a block without
    assert decoded(expecting(p1=0.6, p2=0.6)) == blocks(2, 3, 6, 9, 12, 15, 16)  # of equal ones the first


def test_one_that_is_not_sure_enough_ends_none() -> None:
    fixed = blocks(3, 6, 9, 12, 15, 16)
    assert decoded(expecting(p1=0.29)) == fixed
    assert decoded(expecting(p1=0.6), delimiter_threshold=None) == fixed
    assert decoded(expecting(p1=0.29), delimiter_threshold=0.29 - 1e-6)[0] == [0, 1]


def test_drawn_tokens_say_what_a_delimiter_is() -> None:
    likely = expecting(p1=0.45)
    assert decoded(likely)[0] == [0, 1]
    drawn = [decoded(likely, temperature=1.0, seed=seed)[0] for seed in range(8)]
    assert [0, 1] in drawn
    assert [0, 1, 2] in drawn


def test_a_short_answer_has_no_window() -> None:
    assert decoded(expecting(p0=0.9), gen_length=3) == [[0, 1, 2]]


def test_given_text_is_no_delimiter_and_never_all_that_a_block_has() -> None:
    answer: list[int | None] = [7, None, 7, *[None] * 13]
    assert decoded(expecting(p0=0.9, p1=0.5), answer=answer)[0] == [1]
    answer = [6, 6, 6, *[None] * 13]
    assert decoded(expecting(), answer=answer)[0] == [3]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"delimiter_ids": "a,b"}, "delimiter_ids='a,b' are no token ids; give token ids, as a list or with"),
        ({"delimiter_ids": ""}, "are no token ids"),
        ({"delimiter_ids": []}, "are no token ids"),
        ({"delimiter_ids": [1.5]}, "are no token ids"),
        ({"delimiter_ids": "-3"}, "are no token ids"),
        ({"delimiter_ids": True}, "are no token ids"),
        ({"threshold": None}, "threshold=None has the wrong type"),
        ({"delimiter_threshold": 1.5}, "delimiter_threshold=1.5 is out of range"),
        ({"steps": 8}, "adablock does not take steps=8"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("adablock").validate_args(**given)


def test_delimiters_are_tokens_of_the_model() -> None:
    with pytest.raises(ParameterError, match="delimiter_ids='7,99' are no tokens of this model"):
        decoded(expecting(), delimiter_ids=[7, 99])


class Lines:
    """A tokenizer that makes ``ids`` of a line end."""

    def __init__(self, *ids: int) -> None:
        self.ids = ids

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert (text, add_special_tokens) == ("\n", False)
        return list(self.ids)


def test_the_line_end_is_that_of_the_model() -> None:
    algorithm = llada_core.get_algorithm("adablock")

    def delimiters() -> frozenset[int]:
        policy = algorithm.policy(algorithm.validate_args())
        assert isinstance(policy, AdaptiveBlocks)
        return policy.delimiters

    assert delimiters() == {198}
    algorithm.tokenizer = Lines(13)
    assert delimiters() == {13}
    algorithm.tokenizer = Lines(13, 14)
    with pytest.raises(ParameterError, match="this model's tokenizer makes 2 tokens; give ids"):
        delimiters()


@pytest.mark.parametrize(
    ("given", "ids"), [([13, 11], "13,11"), ((13, 11), "13,11"), ("13, 11", "13,11"), (13, "13")]
)
def test_the_published_names_are_taken(given: Any, ids: str) -> None:
    values = llada_core.get_algorithm("adablock").validate_args(init_block_length=16, delimiter_ids=given)
    assert (values["block_length"], values["delimiter_ids"]) == (16, ids)
