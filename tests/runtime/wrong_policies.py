"""Algorithms whose policy, or what they make of their parameters, breaks the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from llada_runtime import DualCache, NoCache, Plan, Policy
from tests.runtime.wrong_tables import Good, OneBest, wrong


def plans(name: str, plan: Callable[[Any], Any], told: str, base: type[Policy] = NoCache) -> None:
    """An algorithm whose policy plans so."""
    policy = type(name, (base,), {"plan": lambda self, sequence: plan(sequence)})
    wrong(told)(type(name, (Good,), {"policy": lambda self, params: policy()}))


plans("PlansNone", lambda s: None, "PlansNone.plan returned None; return a Plan")
plans("PlansColumns", lambda s: (0, s.length), "PlansColumns.plan returned a tuple of 2; return a Plan")
plans("PlansTooFar", lambda s: Plan(lo=0, hi=s.length + 1), "it covers columns 0 to ")
plans("PlansHalves", lambda s: Plan(lo=0, hi=s.length / 1), "give columns as integers")
plans("PlansLess", lambda s: Plan(lo=1, hi=s.length), "it reads no cache and leaves out columns of 0 to ")
plans("DecidesTooFar", lambda s: Plan(lo=0, hi=s.length, targets=(0, 99)), "it decides columns (0, 99), and")
plans("DecidesOne", lambda s: Plan(lo=0, hi=s.length, targets=(3,)), "give two columns")  # type: ignore[arg-type]
plans(
    "WritesUncached",
    lambda s: Plan(lo=0, hi=s.length, writes=True),
    "WritesUncached planned what cannot be run: it writes to the cache, and the policy says that it does not",
)
plans(
    "ReadsUnwritten",
    lambda s: Plan(lo=s.block_start, hi=s.block_end, reads=True, writes=True),
    "it reads column 0 from the cache, which no forward of this row has written; first plan one that writes",
    DualCache,
)
plans(
    "ReadsBehind",
    lambda s: (
        Plan(lo=0, hi=s.block_end, end=s.block_end, writes=True)
        if s.nfe == 0
        else Plan(lo=s.block_start, hi=s.block_end, reads=True, writes=True)
    ),
    "which no forward of this row has written; first plan one that writes it",
    DualCache,
)
plans(
    "ReadsOnly",
    lambda s: Plan(lo=0, hi=s.length, reads=True),
    "it reads the cache and does not write; give writes=True too, which costs nothing more",
    DualCache,
)
plans(
    "EndsNear",
    lambda s: Plan(lo=0, hi=s.block_end, end=s.block_end, tail=s.block_end - 1),
    "its last column is to be column ",
)
plans(
    "EndsFarInStrides",
    lambda s: Plan(lo=0, hi=s.length - 1, end=s.length - 1, tail=s.length - 1, stride=4),
    ", and it goes in strides or does not end there",
)
plans(
    "DecidesTheFarOne",
    lambda s: Plan(
        lo=0, hi=s.length - 1, end=s.length - 1, tail=s.length - 1, targets=(s.length - 2, s.length - 1)
    ),
    "it decides (",
)
plans(
    "ShortCanvases",
    lambda s: Plan(lo=0, hi=s.length, canvases=((1, 2),)),
    "a further canvas has not ",
)
plans(
    "ShadowsNothing",
    lambda s: Plan(lo=0, hi=s.length, targets=(0, 0), shadow=True),
    "it has a shadow of no targets; give some, or leave the shadow out",
)


def in_policy(name: str, told: str, **members: Any) -> None:
    policy = type(name, (NoCache,), members)
    wrong(told)(type(name, (Good,), {"policy": lambda self, params: policy()}))


in_policy(
    "FeedsTooFew",
    "FeedsTooFew.inputs returned a tensor [2, 16] of float32 on cpu; return embeddings ",
    inputs=lambda self, sequence, plan: torch.zeros(2, 16),
)
in_policy(
    "FeedsIds",
    "FeedsIds.inputs returned a tensor [",
    inputs=lambda self, sequence, plan: torch.zeros(plan.hi - plan.lo, 16, dtype=torch.int64),
)
in_policy(
    "CombinesAll",
    "CombinesAll.combine returned a tensor [2, 4, 32] of float32 on cpu; return logits [4, 32] on cpu",
    plan=lambda self, sequence: Plan(lo=0, hi=sequence.length, canvases=(tuple(sequence.canvas),)),
    combine=lambda self, sequence, plan, logits: logits,
)
in_policy(
    "EndsNowhere",
    "EndsNowhere.block_end returned 'soon'; return a column, or None",
    block_end=lambda self, sequence: "soon",
)
in_policy(
    "EndsBehind",
    "was to end before column 999; give one from ",
    block_end=lambda self, sequence: 999,
)
in_policy(
    "RaisesAfter",
    "ZeroDivisionError: division by zero; upgrade llada-wrong, or tell its authors",
    after=lambda self, sequence, plan, logits, network: 1 / 0,
)


# -- what an algorithm makes of its parameters


def makes(name: str, told: str, **members: Any) -> None:
    wrong(told)(type(name, (Good,), members))


makes("RuleIsNone", "its rule returned None; return a Rule", rule=lambda self, params: None)
makes(
    "RuleIsAClass",
    "its rule returned the class OneBest; return an object of it, OneBest(…)",
    rule=lambda self, params: OneBest,
)
makes("RuleIsAPolicy", "its rule returned a NoCache; return a Rule", rule=lambda self, params: NoCache())
makes("PolicyIsNone", "its policy returned None; return a Policy", policy=lambda self, params: None)
makes(
    "PolicyIsAClass",
    "its policy returned the class DualCache; return an object of it, DualCache(…)",
    policy=lambda self, params: DualCache,
)
makes("PolicyIsAWord", "its policy returned 'dual'; return a Policy", policy=lambda self, params: "dual")
makes(
    "SequenceIsNone",
    "its sequence returned None; return a row, with its ticket",
    sequence=lambda self, model, prompt_ids, params: None,
)
makes(
    "NoLength",
    "it has no gen_length, and the loop must know how many masks to write; add standard('gen_length') to its",
    validate_args=lambda self, **params: {"block_length": 4},
)
