"""``multiblock`` against what its authors' function decoded, and how its blocks are opened."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import ParameterError, Step
from llada_decoders.multiblock import Guarantees, LowEntropy, OpenBlocks
from llada_runtime import Sequence, drain
from llada_runtime.testing import EOS, MASK, FakeNetwork, check_rule
from tests.decoders.golden_data import Case, check_published, check_stopped, each_that_stops, golden_cases

pytestmark = pytest.mark.alone


CASES = golden_cases("multiblock")


def params_of(case: Case) -> dict[str, Any]:
    """Ours: what decides nothing has no name, and upstream's early stop another."""
    given = dict(case["params"])
    del given["decoded_token_threshold"]
    if given["early_stop"]:
        given["eos_early_stop"] = True
    return given


@pytest.mark.parametrize("case", [c for c in CASES if not c["params"]["early_stop"]], ids=lambda c: c["id"])
def test_tokens_and_forwards_are_upstreams(case: Case) -> None:
    check_published(case, "multiblock", params_of(case))


@each_that_stops("multiblock")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    """By upstream's early stop, where it is on; upstream may leave other tokens behind the end."""
    check_stopped(case, "multiblock", params_of(case))
    if case["params"]["early_stop"]:
        assert case["stop_at_eos"]["nfe"] == case["expected"]["nfe"]


def decoded(
    network: FakeNetwork, *, answer: list[int | None] | None = None, **params: Any
) -> tuple[Sequence, list[Step]]:
    algorithm = llada_core.get_algorithm("multiblock")
    given = {"gen_length": 12, "block_length": 3, "early_stop": "eos_early_stop" in params, **params}
    row = algorithm.sequence(network, [5, 9], algorithm.validate_args(**given), answer=answer)
    steps = list(drain(network, [row], rows=1))
    assert not [step.error for step in steps if step.error]
    assert MASK not in row.canvas
    return row, steps


def sure_at(*offsets: int, tokens: dict[int, int] | None = None) -> FakeNetwork:
    """Sure at these offsets of the answer, elsewhere the surer the further left."""

    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        logits = torch.zeros(len(canvas), 32)
        for column in range(2, len(canvas)):
            sure = 20.0 if column - 2 in offsets else 3 - column / 32
            logits[column, (tokens or {}).get(column - 2, 4)] = sure
        return logits[lo:hi]

    return FakeNetwork(propose)


def test_the_next_block_opens_once_enough_of_the_last_one_is_filled() -> None:
    filled = [step.positions for step in decoded(sure_at(1, 2, 4, 5), block_add_threshold=0.5)[1]]
    assert filled[:3] == [(1, 2), (0, 4, 5), (3,)]
    filled = [step.positions for step in decoded(sure_at(1, 2, 4, 5), block_add_threshold=1.0)[1]]
    assert filled[:4] == [(1, 2), (0,), (4, 5), (3,)]
    filled = [step.positions for step in decoded(sure_at(*range(12)), block_add_threshold=0.0)[1]]
    assert filled == [tuple(range(6)), (6, 7, 8), (9, 10, 11)]


def test_the_first_block_gets_on_whatever_is_surer_behind() -> None:
    _, steps = decoded(sure_at(5), threshold=0.0, block_add_threshold=0.0)
    assert steps[0].positions == (0, 5)
    assert [step.block for step in steps][:4] == [0, 0, 0, 1]


def test_no_threshold_fills_whatever_is_open() -> None:
    first, *_ = decoded(sure_at(), threshold=None)[1]
    assert first.positions == (0, 1, 2)


def test_given_text_counts_as_filled() -> None:
    answer: list[int | None] = [6, 6, 6, None, 6, 6, *[None] * 6]
    row, steps = decoded(sure_at(3, 6), answer=answer)
    assert [step.positions for step in steps][:2] == [(3,), (6,)]
    assert row.canvas[2:8] == [6, 6, 6, 4, 6, 6]


END = sure_at(0, 2, tokens={2: EOS})


def test_behind_an_end_all_becomes_end_and_masks_before_it_are_filled() -> None:
    row, steps = decoded(END, eos_early_stop=True)
    assert row.canvas[2:] == [4, 4, *[EOS] * 10]
    assert steps[0].positions == (0, *range(2, 12))
    assert set(steps[0].confidence[2:]) == {1.0}
    assert steps[-1].finished
    without, _ = decoded(END)
    assert without.canvas[5:] != row.canvas[5:]


def test_its_early_stop_may_change_the_answer_and_the_runtimes_does_not() -> None:
    """The model is sure of an end first, and of the word before by what stands behind the end."""

    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        logits = torch.zeros(len(canvas), 32)
        logits[:, 4] = 3.0
        logits[4, EOS] = 9.0
        logits[3, 7 if canvas[5] == EOS else 6] = 5.0
        return logits[lo:hi]

    def answer(**params: Any) -> list[int]:
        return decoded(FakeNetwork(propose), threshold=0.0, block_length=12, **params)[0].canvas[2:5]

    assert answer() == answer(early_stop=True) == [4, 6, EOS]
    assert answer(eos_early_stop=True) == [4, 7, EOS]


def test_the_forward_behind_an_end_may_fill_nothing() -> None:
    """As upstream: it takes columns that have become the end for masks, and the surest of all is one."""

    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        logits = torch.zeros(len(canvas), 32)
        logits[:, 4] = 1.0
        logits[3, EOS] = 9.0  # the second of the answer, which ends it
        logits[4, 4] = 3.0 if canvas[3] == EOS else 1.0  # of the same block, behind it
        return logits[lo:hi]

    _, steps = decoded(FakeNetwork(propose), eos_early_stop=True)
    assert [step.positions for step in steps] == [tuple(range(1, 12)), (), (0,)]


def test_given_text_behind_an_end_stays() -> None:
    answer: list[int | None] = [*[None] * 11, 8]
    row, _ = decoded(END, eos_early_stop=True, answer=answer)
    assert row.canvas[-1] == 8
    assert row.canvas[5] != EOS


def test_an_end_before_given_text_hides_none_behind_it() -> None:
    ends = sure_at(0, 5, tokens={0: EOS, 5: EOS})
    answer: list[int | None] = [None, None, 8, *[None] * 9]
    row, steps = decoded(ends, eos_early_stop=True, answer=answer, block_length=12)
    assert steps[0].positions == (0, *range(5, 12))
    assert row.canvas[2:] == [EOS, 4, 8, 4, 4, *[EOS] * 7]


def test_its_rule_keeps_the_contract() -> None:
    check_rule(LowEntropy(-0.5))  # the kit's scores are from 0 to 1


@pytest.mark.parametrize(
    ("guarantees", "kept"),
    [
        (Guarantees(), [1, 4]),
        (Guarantees(best=False), [1]),
        (Guarantees(first=False), [4]),
        (Guarantees(best=False, first=False), []),
    ],
)
def test_what_is_filled_in_any_case(guarantees: Guarantees, kept: list[int]) -> None:
    """Of a block of 3 and the next one, none of which is within the threshold."""
    network = FakeNetwork.random()
    row = Sequence(
        [1, 2],
        network.config,
        gen_length=6,
        block_length=3,
        policy=OpenBlocks(0.5),
        rule=LowEntropy(0.1),
    )
    row.rule_state = guarantees
    scores = -torch.tensor([[0.9, 0.8, 0.85, 0.7, 0.6, 0.95]], dtype=torch.float64)
    chosen = LowEntropy.select([row], scores, torch.ones(1, 6, dtype=torch.bool))
    assert chosen.nonzero()[:, 1].tolist() == kept


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"threshold": -0.5}, r"threshold=-0\.5 is out of range"),
        ({"block_add_threshold": 1.5}, r"block_add_threshold=1\.5 is out of range"),
        ({"eos_early_stop": True, "early_stop": False}, "leave one of them out"),
        ({"decoded_token_threshold": 0.5}, "multiblock does not take decoded_token_threshold"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("multiblock").validate_args(**given)
