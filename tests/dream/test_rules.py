"""The schedule's numbers, the measures of confidence and the filters, each by plain arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from llada_dream.rules import kept_at, share_at
from llada_dream.sampling import Confidence, DreamFilters, Measure
from llada_runtime import Filters


def schedule(masks: int, steps: int, eps: float) -> list[int]:
    kept = []
    for step in range(steps):
        kept.append(kept_at(step, masks - sum(kept), steps=steps, eps=eps))
    return kept


def test_a_typical_schedule_is_the_published_one() -> None:
    assert schedule(24, 8, 1e-3) == [2, 3, 3, 3, 3, 3, 3, 4]


def test_with_a_step_a_token_the_first_fills_none_and_the_last_two() -> None:
    assert schedule(16, 16, 1e-3) == [0, *[1] * 14, 2]


def test_with_more_steps_than_masks_most_forwards_fill_none() -> None:
    kept = schedule(8, 32, 1e-3)
    assert (kept[:24], sum(kept)) == ([0] * 24, 8)
    assert schedule(5, 1, 1e-3) == [5]


@pytest.mark.parametrize("eps", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 40])
def test_every_schedule_ends_with_nothing_left(eps: float, steps: int) -> None:
    for masks in (1, 2, 13, 40):
        kept = schedule(masks, steps, eps)
        assert sum(kept) == masks
        assert all(each < masks or step == steps - 1 for step, each in enumerate(kept))
    assert schedule(13, steps, 1.0) == [0] * (steps - 1) + [13]


def test_a_number_is_cut_off_from_a_float32_product() -> None:
    """Exact arithmetic would fill one token more or less now and then."""
    steps, eps = 12, 0.0
    exact = [1 - Fraction(step, steps) for step in range(steps + 1)]
    times = torch.linspace(1, eps, steps + 1)  # float32
    differing = 0
    for step in range(steps - 1):
        for masks in range(1, 200):
            found = kept_at(step, masks, steps=steps, eps=eps)
            assert found == int(torch.tensor(masks).float() * (1 - times[step + 1] / times[step]))
            differing += found != math.floor(masks * (1 - exact[step + 1] / exact[step]))
    assert differing > 0


def test_the_default_dtype_changes_no_schedule() -> None:
    wanted = [schedule(97, 13, 1e-3), [share_at(3, steps=13, eps=0.01)]]
    torch.set_default_dtype(torch.float64)
    try:
        from llada_dream.rules import _shares

        _shares.cache_clear()
        assert [schedule(97, 13, 1e-3), [share_at(3, steps=13, eps=0.01)]] == wanted
    finally:
        torch.set_default_dtype(torch.float32)


LOGITS = torch.tensor([[2.0, 1.0, 0.5, -1.0, -3.0], [0.0, 4.0, 4.0, 1.0, -2.0], [9.0, -9.0, 0.0, 0.0, 0.0]])


def plain(logits: list[float], temperature: float, top_p: float | None, top_k: int | None) -> list[float]:
    """Probabilities by the published order: temperature, then top_p, then top_k."""
    scaled = [each / temperature if temperature else each for each in logits]
    ranked = sorted(range(len(scaled)), key=lambda token: (-scaled[token], token))
    left = set(ranked)
    if top_p is not None:
        odds = [math.exp(each - max(scaled)) for each in scaled]
        before, left = 0.0, set()
        for token in ranked:
            if before <= top_p or not left:
                left.add(token)
            before += odds[token] / sum(odds)
    if top_k is not None:
        least = sorted((scaled[token] for token in left), reverse=True)[:top_k][-1]
        left = {token for token in left if scaled[token] >= least}
    odds = [math.exp(scaled[token] - max(scaled)) if token in left else 0.0 for token in range(len(scaled))]
    return [each / sum(odds) for each in odds]


def measured(probabilities: list[float], measure: Measure, token: int) -> float:
    if measure == "probability":
        return probabilities[token]
    if measure == "margin":
        first, second = sorted(probabilities, reverse=True)[:2]
        return first - second
    return sum(each * math.log(each + 1e-10) for each in probabilities)


@pytest.mark.parametrize("measure", ["probability", "margin", "entropy"])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("top_p", [None, 0.3, 0.8])
@pytest.mark.parametrize("top_k", [None, 1, 2, 3])
def test_a_confidence_is_told_of_what_temperature_and_filters_leave(
    measure: Measure, temperature: float, top_p: float | None, top_k: int | None
) -> None:
    filters = DreamFilters.of({"top_p": top_p, "top_k": top_k})
    confidence = Confidence(measure=measure, temperature=temperature, filters=filters)
    tokens = LOGITS.argmax(-1)
    wanted = [
        measured(plain(row, temperature, top_p, top_k), measure, token)
        for row, token in zip(LOGITS.tolist(), tokens.tolist(), strict=True)
    ]
    assert confidence.of(LOGITS, tokens).tolist() == pytest.approx(wanted, abs=1e-6)
    assert confidence.of(LOGITS.bfloat16(), tokens).dtype == torch.float64


def kept(logits: Tensor, temperature: float = 0.0, **given: float) -> list[list[int]]:
    return [row.nonzero()[:, 0].tolist() for row in DreamFilters(**given).kept(logits, temperature)]  # type: ignore[arg-type]


def test_top_p_keeps_the_token_that_nucleus_sampling_leaves_out() -> None:
    even = torch.zeros(1, 4)
    assert kept(even, top_p=0.5) == [[0, 1, 2]]  # what ranks before the third is not above 0.5
    assert Filters(top_p=0.5).kept(even, 1.0)[0].tolist() == [True, True, False, False]
    assert kept(even, top_p=0.49) == [[0, 1]]
    assert kept(even, top_p=1.0) == [[0, 1, 2, 3]]


def test_top_k_keeps_tokens_that_are_equally_likely_together() -> None:
    tied = torch.tensor([[1.0, 3.0, 3.0, 3.0, 0.0]])
    assert kept(tied, top_k=2) == [[1, 2, 3]]
    assert Filters(top_k=2).kept(tied, 1.0)[0].tolist() == [False, True, True, False, False]
    assert kept(tied, top_k=9) == kept(tied, top_k=-1) == kept(tied, top_k=0) == [[0, 1, 2, 3, 4]]


def test_top_k_comes_after_top_p() -> None:
    assert kept(LOGITS[:1], top_p=0.7, top_k=4) == [[0, 1]]


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("measure", ["probability", "margin", "entropy"])
def test_no_temperature_makes_a_confidence_that_is_no_number(temperature: float, measure: Measure) -> None:
    logits = torch.cat((LOGITS, torch.full((3, 1), -torch.inf)), dim=1)  # as of the mask
    confidence = Confidence(
        measure=measure, temperature=temperature, filters=DreamFilters(top_p=0.9, top_k=3)
    )
    assert confidence.of(logits, logits.argmax(-1)).isfinite().all()


def test_neutral_filters_are_none() -> None:
    assert DreamFilters.of({"top_p": 1.0, "top_k": -1}) is None
    assert DreamFilters.of({"top_p": None}) is None
    assert Confidence(measure="probability").plain
    assert not Confidence(measure="probability", temperature=0.5).plain
    assert not Confidence(measure="entropy").plain
