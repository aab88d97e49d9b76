"""Commit rules on confidences small enough to follow by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from llada_runtime import Factor, Quota, Rule, Threshold
from llada_runtime.decoding.choice import kept_of
from llada_runtime.decoding.proposals import Proposals


def kept(rule: Rule, scores: list[float | None], *, block_open: int = 0, block_nfe: int = 0) -> list[int]:
    """Which positions the rule keeps; None is a position that is not open."""
    return kept_rows([(rule, scores, block_open, block_nfe)])[0]


def kept_rows(rows: list[tuple[Rule, list[float | None], int, int]]) -> list[list[int]]:
    width = max(len(scores) for _, scores, *_ in rows)
    padded = [[*scores, *[None] * (width - len(scores))] for _, scores, *_ in rows]
    table = torch.tensor(
        [[-torch.inf if s is None else s for s in row] for row in padded], dtype=torch.float64
    )
    proposals = Proposals(
        tokens=torch.zeros_like(table).long(),
        confidence=table,
        scores=table,
        open=table >= 0,
        logits=(),
        faults={},
    )
    sequences = [
        SimpleNamespace(rule=rule, block_open=block_open or len(scores), block_nfe=block_nfe)
        for rule, scores, block_open, block_nfe in rows
    ]
    kept = kept_of(sequences, proposals)  # type: ignore[arg-type]
    assert not proposals.faults
    return [row.nonzero()[:, 0].tolist() for row in kept]


@pytest.mark.parametrize(
    ("steps", "step", "expected"),
    [(2, 0, [0, 1, 3]), (2, 1, [1, 3]), (3, 0, [1, 3]), (3, 2, [3]), (5, 0, [3]), (9, 0, [3])],
)
def test_a_quota_spreads_the_masks_and_gives_the_rest_to_the_first_steps(
    steps: int, step: int, expected: list[int]
) -> None:
    assert kept(Quota(steps), [0.3, 0.4, 0.1, 0.5, 0.2], block_nfe=step) == expected


def test_a_quota_never_exceeds_what_is_open() -> None:
    assert kept(Quota(1), [0.3, None, 0.1], block_open=3) == [0, 2]


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.0, [0, 1, 2]), (0.4, [1, 2]), (0.41, [1]), (0.9, [1]), (1.0, [1])]
)
def test_a_threshold_is_inclusive_and_always_keeps_the_best(threshold: float, expected: list[int]) -> None:
    assert kept(Threshold(threshold), [0.1, 0.5, 0.4]) == expected


def test_a_threshold_of_zero_leaves_standing_tokens_alone() -> None:
    assert kept(Threshold(0.0), [0.1, None, 0.0]) == [0, 2]


@pytest.mark.parametrize(
    ("factor", "scores", "expected"),
    [
        (1.0, [0.99, 0.3], [0, 1]),  # two that remain always go together
        (1.0, [0.99, 0.98, 0.3], [0, 1, 2]),  # a last one that fails goes along
        (1.0, [0.99, 0.98, 0.3, 0.3], [0, 1]),
        (1.0, [0.3, 0.2, 0.1], [0]),
        (1.0, [0.1, 0.99, 0.1, 0.67, 0.1], [1, 3]),  # rank 2 needs 1 - 1/3
        (2.0, [0.9, 0.34, 0.51, 0.1, 0.1], [0, 2]),  # rank 2 needs 1/3, rank 3 needs 1/2
        (0.5, [0.2], [0]),
    ],
)
def test_a_factor_stops_at_the_first_rank_that_fails(
    factor: float, scores: list[float | None], expected: list[int]
) -> None:
    assert kept(Factor(factor), scores) == expected


def test_factor_counts_only_open_positions() -> None:
    assert kept(Factor(1.0), [None, 0.2, None, 0.1, None]) == [1, 3]


@pytest.mark.parametrize("rule", [Quota(2), Threshold(1.0), Factor(0.001)])
def test_of_equally_sure_positions_the_leftmost_goes_first(rule: Rule) -> None:
    assert kept(rule, [0.1, 0.5, 0.5, 0.5, 0.1, 0.1], block_open=2) == [1]


def test_saturated_confidences_go_leftmost_first_too() -> None:
    assert kept(Quota(2), [0.5, 1.0, 1.0, 1.0, None], block_open=4) == [1, 2]


def test_saturated_confidences_all_pass_a_threshold_of_one() -> None:
    assert kept(Threshold(1.0), [1.0, 0.9, 1.0]) == [0, 2]


def test_rows_of_different_rules_do_not_see_each_other() -> None:
    rows: list[tuple[Rule, list[float | None], int, int]] = [
        (Quota(1), [0.1, 0.2], 0, 0),
        (Threshold(0.5), [0.6, 0.4, 0.7], 0, 0),
        (Quota(3), [0.1, 0.2, 0.3], 0, 0),
        (Factor(1.0), [0.99, 0.98, 0.3, 0.3], 0, 0),
        (Threshold(0.1), [0.6, 0.4], 0, 0),
    ]
    assert kept_rows(rows) == [kept_rows([row])[0] for row in rows]
