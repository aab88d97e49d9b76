"""Policies and rules that belong together keep the contract so, and refuse any other partner."""

from __future__ import annotations

from collections.abc import Sequence as Ids

import pytest

from llada_core import ContractError
from llada_core.testing import run_checks
from llada_decoders.blocks import AdaptiveBlocks
from llada_decoders.daedal import FindsLength, Surer
from llada_decoders.ending import EndsWithBlock
from llada_decoders.falling import FallingThreshold
from llada_decoders.freedave import Drafting, Verified
from llada_decoders.frozen import FrozenCache
from llada_decoders.guidance import Guided
from llada_decoders.horizon import Horizon
from llada_decoders.klass import LooksAhead, Stable
from llada_decoders.multiblock import LowEntropy, OpenBlocks
from llada_decoders.wino import Shadowed, WideInNarrowOut
from llada_runtime import DualCache, NoCache, Policy, PrefixCache, Quota, Rule, Sequence, drain
from llada_runtime.testing import FakeNetwork, check_policy
from llada_runtime.testing.policies import policy_checks
from llada_runtime.testing.rules import rule_checks

pytestmark = pytest.mark.alone

FINDS = FindsLength(0.5, block_length=4, expansion=2, looked_for=2, enough=0.1, certain=0.9, doubt=0.5)
STABLE = Stable(steps=2, conf_threshold=0.5, kl_threshold=0.1, history=2, strategy="all")
WIDE = WideInNarrowOut(threshold=0.1, threshold_back=0.9)

TOGETHER: list[tuple[Policy, Rule]] = [
    (LooksAhead(NoCache()), STABLE),
    (LooksAhead(PrefixCache()), STABLE),
    (FINDS, Surer(0.3)),
    (Shadowed(), WIDE),
    (EndsWithBlock(Horizon(PrefixCache(), 2, far=True)), FallingThreshold(0.8, 0.5)),
    (DualCache(), FallingThreshold(0.8, 0.5)),
    (Drafting(PrefixCache(), steps=3), Verified(0.3)),
    (OpenBlocks(0.5), LowEntropy(2.0)),
]


def adaptive(base: Policy) -> Policy:
    return AdaptiveBlocks(base, delimiters=frozenset({3}), least=0.1)


def made(policy: Policy, rule: Rule, *, prompt: list[int], gen_length: int, width: int) -> Sequence:
    """A row; one that finds the length of its answer begins with a shorter one."""
    finds = isinstance(policy, FindsLength)
    return Sequence(
        prompt,
        FakeNetwork.random().config,
        gen_length=max(1, gen_length - 3) if finds else gen_length,
        longest=gen_length,
        block_length=width,
        policy=policy,
        rule=rule,
        early_stop=False,
    )


@pytest.mark.parametrize(("policy", "rule"), TOGETHER, ids=lambda part: type(part).__name__)
def test_those_that_belong_together_keep_the_contract(policy: Policy, rule: Rule) -> None:
    def served(network: FakeNetwork, prompt: Ids[int], gen_length: int) -> Sequence:
        return made(policy, rule, prompt=list(prompt), gen_length=gen_length, width=4)

    assert run_checks(type(policy).__name__, policy_checks(served))


def test_a_falling_threshold_keeps_the_contract_of_rules() -> None:
    def of_width(width: int) -> Sequence:
        rule = FallingThreshold(0.8, 0.5)
        return made(NoCache(), rule, prompt=[1, 2], gen_length=width, width=width)

    assert run_checks("FallingThreshold", rule_checks(of_width))


@pytest.mark.parametrize(
    "policy",
    [
        Guided(0.5),
        OpenBlocks(0.5),
        Shadowed(),
        adaptive(PrefixCache()),
        adaptive(FrozenCache(1, 0)),
        Horizon(PrefixCache(), 2, far=True),
        Horizon(Guided(0.5), 2, far=True),
        Horizon(Guided(0.5), 0, far=False),
        Horizon(DualCache(), 1, far=False),
        Horizon(PrefixCache(), 0, far=False),
        EndsWithBlock(DualCache()),
        FrozenCache(None, None),
        FrozenCache(4, 0),
        FrozenCache(0, 3),
        FrozenCache(0, 0),
        Horizon(FrozenCache(2, 1), 3, far=False),
        Horizon(adaptive(FrozenCache(2, 1)), 2, far=False),
        adaptive(Horizon(PrefixCache(), 2, far=True)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_those_that_need_no_partner_keep_it_with_any(policy: Policy) -> None:
    assert check_policy(policy)


@pytest.mark.parametrize(
    ("policy", "rule", "told"),
    [
        (
            LooksAhead(NoCache()),
            Quota(2),
            "LooksAhead was given to a sequence together with Quota.*give.*that",
        ),
        (FINDS, Quota(2), "FindsLength .* cannot work without Surer; give the sequence that"),
        (Drafting(PrefixCache(), steps=3), Quota(8), "Drafting .* cannot work without Verified"),
        (NoCache(), WIDE, "WideInNarrowOut was .* together with NoCache, and cannot work without Shadowed"),
        (
            Horizon(DualCache(), 2, far=True),
            Quota(2),
            "DualCache reads the last column from the cache.*give a policy",
        ),
    ],
)
def test_another_partner_is_refused(policy: Policy, rule: Rule, told: str) -> None:
    """The row ends with that, and one beside it does not."""
    row = made(policy, rule, prompt=[1, 2], gen_length=16, width=2)
    beside = made(NoCache(), Quota(2), prompt=[1, 2], gen_length=4, width=2)
    steps = drain(FakeNetwork.random(), [row, beside], rows=2)
    (error,) = (step.error for step in steps if step.error is not None)
    with pytest.raises(ContractError, match=told):
        raise error
    assert beside.mask_id not in beside.canvas
