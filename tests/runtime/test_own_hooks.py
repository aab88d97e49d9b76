"""A hook that a rule object has of its own, and not by its class, is asked as one of the class."""

from __future__ import annotations

from typing import Any

import pytest

from llada_runtime import NoCache, Quota, Sequence
from llada_runtime.decoding.glance import _takes_the_likeliest
from llada_runtime.testing import FakeNetwork
from tests.runtime.test_combining import decoded


class Given(Quota):
    """Has what it is given."""

    def __init__(self, steps: int, **given: Any) -> None:
        for name, value in {"steps": steps, **given}.items():
            object.__setattr__(self, name, value)


def row(rule: Quota) -> Sequence:
    return Sequence(
        [1, 2], FakeNetwork.random().config, gen_length=8, block_length=4, policy=NoCache(), rule=rule
    )


@pytest.mark.parametrize("hook", ["score", "revoke", "replace"])
def test_a_hook_of_the_object_is_asked(hook: str) -> None:
    asked = []

    def answer(sequence: Sequence, *given: Any) -> Any:
        asked.append(sequence)
        return {"score": None, "revoke": (), "replace": {}}[hook]

    given = row(Given(4, revokes=hook != "score", **{hook: answer}))
    network = FakeNetwork.random()
    decoded(network, [given])
    assert asked == [given] * given.nfe


def test_a_score_of_the_object_is_seen_where_a_gpu_would_take_the_likeliest() -> None:
    assert _takes_the_likeliest(row(Given(4)))
    assert not _takes_the_likeliest(row(Given(4, score=lambda *given: None)))
