"""A forward whose last column stands at a far position, by `Plan.tail`."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from llada_core import ContractError
from llada_runtime import DualCache, LLaDAModel, NoCache, Plan, Policy, PrefixCache, Quota, Sequence, drain
from llada_runtime.reference import follow


class Near(NoCache):
    """Of what is behind the block only the last column is seen."""

    def plan(self, sequence: Sequence) -> Plan:
        return near(sequence, 0)


class NearCached(PrefixCache):
    """The same, and what is before the block is cached."""

    def plan(self, sequence: Sequence) -> Plan:
        return near(sequence, sequence.block_start if sequence.cached_block == sequence.block else 0)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return near(sequence, sequence.block_start)


def near(sequence: Sequence, lo: int) -> Plan:
    plan = Plan(lo=lo, hi=sequence.length, reads=lo > 0, writes=sequence.policy.caches)
    end = sequence.block_end + 1
    return replace(plan, hi=end, end=end, tail=sequence.length - 1) if end < sequence.length else plan


def row(model: LLaDAModel, policy: Policy, seed: int = 0, gen_length: int = 15) -> Sequence:
    draw = random.Random(seed)
    prompt = draw.choices(range(20), k=draw.randint(1, 6))
    return Sequence(
        prompt, model.config, gen_length=gen_length, block_length=4, policy=policy, rule=Quota(3),
        early_stop=False,
    )  # fmt: skip


def decoded(model: LLaDAModel, *rows: Sequence) -> list[tuple[list[int], int]]:
    assert not [step.error for step in drain(model, rows, rows=len(rows)) if step.error is not None]
    return [(row.canvas, row.nfe) for row in rows]


@pytest.mark.parametrize("policy", [Near(), NearCached()], ids=["uncached", "cached"])
def test_rows_are_the_reference_alone_and_beside_others(model: LLaDAModel, policy: Policy) -> None:
    rows = [
        row(model, each, seed) for seed, each in enumerate([policy, DualCache(), policy, NoCache(), policy])
    ]
    alone = [follow(model, row(model, each.policy, seed)) for seed, each in enumerate(rows)]
    assert decoded(model, *rows) == alone


def test_what_is_between_is_not_seen(model: LLaDAModel) -> None:
    kept = row(model, Near())
    other = row(model, Near())
    other.canvas[-4:-1] = [5, 6, 7]  # behind the block, before the last column
    first = [next(iter(drain(model, [each], rows=1))) for each in (kept, other)]
    assert first[0].tokens == first[1].tokens
    assert first[0].confidence == first[1].confidence


def test_how_far_the_last_column_is_matters(model: LLaDAModel) -> None:
    first = [next(iter(drain(model, [row(model, Near(), gen_length=g)], rows=1))) for g in (12, 15)]
    assert first[0].confidence != first[1].confidence


def test_the_place_of_the_last_column_is_not_cached(model: LLaDAModel) -> None:
    class Careless(NearCached):
        def plan(self, sequence: Sequence) -> Plan:
            plan = super().plan(sequence)
            return replace(plan, hi=plan.hi - 1, tail=None) if plan.reads and plan.tail else plan

    careless = row(model, Careless())
    (*_, last) = drain(model, [careless], rows=1)
    assert isinstance(last.error, ContractError)
    place = careless.prompt_length + 4
    assert f"it reads column {place} from the cache, which no forward of this row has written" in str(
        last.error
    )
