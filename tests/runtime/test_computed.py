"""What a row tells of its forwards: how many of each kind, and of how many columns."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from llada_core.generation.computed import Computed
from llada_runtime import DualCache, NoCache, Plan, Policy, PrefixCache, Quota, Sequence, drain
from llada_runtime.testing import FakeNetwork

PROMPT, LENGTH, BLOCK = [1, 2, 3], 8, 4


def decoded(policy: Policy, *, together: int = 1) -> tuple[list[Sequence], FakeNetwork]:
    """Rows of two blocks, each of which takes two forwards."""
    network = FakeNetwork.random()
    rows = [
        Sequence(
            PROMPT, network.config, gen_length=LENGTH, block_length=BLOCK, policy=policy, rule=Quota(2),
            early_stop=False,
        )
        for _ in range(together)
    ]  # fmt: skip
    assert all(step.error is None for step in drain(network, rows, rows=together))
    return rows, network


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (NoCache(), Computed(whole=4, columns=4 * 11)),
        (PrefixCache(), Computed(whole=2, part=1, block=1, columns=2 * 11 + 8 + 4)),
        (DualCache(), Computed(whole=2, block=2, columns=2 * 11 + 2 * 4)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_forwards_are_told_by_kind(policy: Policy, wanted: Computed) -> None:
    (row,), _ = decoded(policy)
    assert row.computed == wanted
    assert row.computed.forwards == row.nfe


@pytest.mark.parametrize(
    "policy", [NoCache(), PrefixCache(), DualCache()], ids=lambda each: type(each).__name__
)
def test_columns_are_those_that_the_network_ran(policy: Policy) -> None:
    rows, network = decoded(policy, together=3)
    ran = sum(hi - lo for forward in network.forwards for lo, hi in forward)
    assert sum((row.computed for row in rows), Computed()).columns == ran


def test_columns_of_a_shadow_and_of_further_canvases_count() -> None:
    class Shadowed(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            return Plan(lo=0, hi=sequence.length, shadow=True)

    class Guided(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            other = tuple(sequence.canvas)
            return Plan(lo=0, hi=sequence.length, canvases=(other, other))

        def combine(self, sequence: Sequence, plan: Plan, logits: object) -> object:
            return logits[0]  # type: ignore[index]

    assert decoded(Shadowed())[0][0].computed.columns == 4 * (11 + BLOCK)
    assert decoded(Guided())[0][0].computed.columns == 4 * 3 * 11


def test_two_rows_work_is_that_of_both() -> None:
    one, other = Computed(whole=1, block=2, columns=9), Computed(part=3, columns=4)
    assert asdict(one + other) == {"whole": 1, "block": 2, "part": 3, "columns": 13}
    assert one + other - one == other
