"""What is drawn from the tokens that the filters keep, and that nothing else changes by them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime import Filters, Sequence
from llada_runtime.decoding import proposals
from llada_runtime.decoding.glance import may_glance
from llada_runtime.decoding.proposals import Proposals, propose
from llada_runtime.reference import drawable
from llada_runtime.testing import MASK
from tests.runtime.test_filters import FILTERS, each_filter
from tests.runtime.test_proposals import logits_of, propose_blocks, sequence


def drawn(logits: Tensor, temperature: float = 0.8, seed: int = 5, **given: Any) -> Proposals:
    """Proposals of one sequence whose block has as many positions as there are ``logits``."""
    filters = Filters(**given) if given else None
    row = sequence(len(logits), temperature=temperature, filters=filters, seed=seed)
    return propose_blocks(logits.clone(), [row])


def chi_square(counts: Tensor, probability: Tensor) -> float:
    expected = probability * counts.sum()
    inside = probability > 0
    return float(((counts - expected)[inside] ** 2 / expected[inside]).sum())


@each_filter
def test_tokens_are_drawn_by_what_is_left_of_their_probability(given: dict[str, Any]) -> None:
    row, draws, temperature = logits_of(11, 1), 4000, 0.8
    tokens = drawn(row.expand(draws, 32), temperature, **given).tokens[0]
    row[:, MASK] = -torch.inf
    allowed = drawable(row[0].tolist(), temperature, **given)
    whole = (row[0].double() / temperature).softmax(-1)
    left = torch.zeros(32, dtype=torch.float64)
    left[allowed] = whole[allowed] / whole[allowed].sum()
    counts = torch.bincount(tokens, minlength=32).double()
    assert set(tokens.tolist()) <= set(allowed)
    assert len(allowed) > 1
    freedom = len(allowed) - 1
    limit = freedom + 4 * math.sqrt(2 * freedom)
    assert chi_square(counts, left) < limit
    assert chi_square(counts, whole) > 3 * limit  # so it is no draw from the whole


@each_filter
def test_what_the_filters_leave_is_drawn_where_it_would_be_without_them(given: dict[str, Any]) -> None:
    logits = logits_of(12, 200, 1.5)
    plain, tokens = drawn(logits).tokens[0], drawn(logits, **given).tokens[0]
    logits[:, MASK] = -torch.inf
    allowed = Filters(**given).kept(logits, 0.8)
    stays = allowed.gather(-1, plain[:, None])[:, 0]
    assert 0 < stays.sum() < 200
    assert torch.equal(tokens[stays], plain[stays])
    assert allowed.gather(-1, tokens[:, None]).all()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0, 1e30, 1.7e308])
@pytest.mark.parametrize("given", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}], ids=str)
def test_the_narrowest_filters_take_the_likeliest(given: dict[str, Any], temperature: float) -> None:
    logits = logits_of(13, 64)
    assert torch.equal(drawn(logits, temperature, **given).tokens, drawn(logits, 0.0).tokens)


def test_of_equal_logits_a_top_k_of_one_takes_the_first() -> None:
    logits = torch.zeros(4, 32)
    logits[:, [7, 20]] = 3.0
    assert drawn(logits, top_k=1).tokens.tolist() == [[7] * 4]


@each_filter
def test_the_confidence_stays_the_raw_probability(given: dict[str, Any]) -> None:
    logits = logits_of(14, 16)
    found = drawn(logits, 3.0, **given)
    logits[:, MASK] = -torch.inf
    exact = logits.double().softmax(-1).gather(-1, found.tokens[0][:, None])[:, 0]
    torch.testing.assert_close(found.confidence[0], exact, atol=1e-7, rtol=1e-5)
    assert torch.equal(found.scores, found.confidence)


@each_filter
def test_at_temperature_0_they_change_nothing(given: dict[str, Any]) -> None:
    logits = logits_of(15, 16)
    found, plain = drawn(logits, 0.0, **given), drawn(logits, 0.0)
    assert torch.equal(found.tokens, plain.tokens)
    assert torch.equal(found.confidence, plain.confidence)


def test_rows_with_and_without_filters_share_a_call_and_change_nothing_for_each_other() -> None:
    options: list[dict[str, Any]] = [
        {},
        {"temperature": 0.9, "seed": 1},
        *[{"temperature": 0.9, "seed": 1, "filters": Filters(**given)} for given in FILTERS],
        {"temperature": 0.9, "seed": 1},
    ]
    logits = logits_of(16, 4 * len(options), 1.5)
    together = propose_blocks(logits.clone(), [sequence(**each) for each in options])
    for row, (each, own) in enumerate(zip(options, logits.split(4), strict=True)):
        alone = propose_blocks(own.clone(), [sequence(**each)])
        assert torch.equal(alone.tokens[0], together.tokens[row])
        assert torch.equal(alone.confidence[0], together.confidence[row])


def test_a_draw_of_exactly_zero_loses_to_nothing_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        proposals.torch, "rand", lambda *shape, **options: torch.zeros(*shape, **_kind(options))
    )
    logits = logits_of(17, 8)
    assert torch.equal(drawn(logits, 1.0, top_k=1).tokens, drawn(logits, 0.0).tokens)


def _kind(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in ("dtype", "device")}


@each_filter
def test_logits_that_are_nan_are_their_rows_fault(given: dict[str, Any]) -> None:
    logits = logits_of(18, 8)
    logits[5] = torch.nan
    rows = [sequence(temperature=1.0, seed=1, filters=Filters(**given)) for _ in range(2)]
    found = propose(logits, rows, [(row.block_start, row.block_end) for row in rows])
    assert list(found.faults) == [1]


def test_drawing_rows_take_the_plain_way_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel that proposes there knows the likeliest token alone."""
    monkeypatch.setattr("llada_runtime.decoding.glance.why_no_kernels", lambda device: None)

    def glances(row: Sequence) -> bool:
        turn: Any = type("Turn", (), {"sequence": row, "targets": (2, 6)})()
        return may_glance([turn], torch.device("cpu"))

    assert glances(sequence(filters=Filters(top_k=2)))  # at temperature 0 it does what is asked
    assert not glances(sequence(temperature=0.5, filters=Filters(top_k=2)))


class Every(Filters):
    """A meaning of its own: every second token."""

    def kept(self, logits: Tensor, temperature: float) -> Tensor:
        keep = torch.zeros_like(logits, dtype=torch.bool)
        keep[:, ::2] = True
        return keep


def test_filters_of_a_meaning_of_their_own_are_drawn_by() -> None:
    row = sequence(64, temperature=4.0, filters=Every(top_k=3), seed=5)
    assert set((propose_blocks(logits_of(3, 64), [row]).tokens % 2).flatten().tolist()) == {0}
