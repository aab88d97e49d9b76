"""What is kept of an answer by offset follows it where masks are put in."""

from __future__ import annotations

from typing import Any

from llada_core import Step
from llada_core.generation.moved import follow, moved
from llada_core.generation.watches import Commits, Watch
from tests.core.test_results import FakeRow


def test_what_is_behind_moves_back_and_what_is_before_stays() -> None:
    assert [moved(offset, [(2, 3)]) for offset in range(4)] == [0, 1, 5, 6]
    assert [moved(offset, [(2, 3), (0, 1)]) for offset in range(4)] == [1, 2, 6, 7]
    assert [moved(offset, [(2, 3), (5, 1)]) for offset in range(4)] == [0, 1, 6, 7]


def test_what_no_longer_fits_in_is_forgotten() -> None:
    told = {0: "a", 2: "b", 3: "c"}
    follow(told, [(1, 2)], 5)
    assert told == {0: "a", 4: "b"}


def step(nfe: int, written: dict[int, int], **changes: Any) -> Step:
    positions, tokens = tuple(written), tuple(written.values())
    facts: dict[str, Any] = {
        "ticket": FakeRow([1] * 6).ticket, "block": 0, "positions": positions, "tokens": tokens,
        "confidence": tuple(token / 10 for token in tokens), "nfe": nfe, "settled": 0,
        "log_probabilities": tuple(-token for token in tokens),
        "drawn_log_probabilities": tuple(0.0 for _ in tokens),
        "alternatives": tuple(((token, token / 10),) for token in tokens),
    }  # fmt: skip
    return Step(**{**facts, **changes})


STEPS = (
    step(1, {0: 5, 2: 7, 3: 9}),
    step(2, {1: 6}, inserted=((1, 3),), gen_length=6),
    step(3, {5: 2}, revoked=(5,), gen_length=6),
)
"""The second token moves to 5, and the third is gone; then another takes its place."""


def test_what_was_told_of_tokens_follows_them() -> None:
    watch = Watch((), logprobs=1)
    for each in STEPS[:2]:
        watch.see(each)
    assert watch.confidence(range(6)) == (0.5, 0.6, None, None, None, 0.7)
    assert watch.alternatives([1, 5]) == (((6, 0.6),), ((7, 0.7),))


def test_a_trajectory_has_tokens_where_they_stand_in_the_end() -> None:
    commits = Commits()
    for each in STEPS:
        commits.see(each)
    found = commits.trajectory((8,), 6, [0, 1])
    assert (found.positions, found.token_ids, found.committed_at) == ((0, 1, 5), (5, 6, 2), (1, 2, 3))
    assert found.log_probabilities == (-5, -6, -2)
    assert found.replaced == 1
