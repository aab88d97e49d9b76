"""Which policy says what is made of a row's canvases, and whether its class does so for all of its rows."""

from __future__ import annotations

from typing import Any

from llada_core.errors import ContractError
from llada_core.values import told
from llada_runtime.decoding.answering import answers_for_all, owner_of
from llada_runtime.decoding.parts import Planner
from llada_runtime.decoding.policies import Around, Policy, wants_one
from llada_runtime.decoding.sequence import Sequence

__all__ = ["combiner", "combines_all", "combines_one"]


def combiner(policy: Planner[Sequence]) -> Planner[Sequence]:
    """The policy whose class says what is made of canvases: inside of all `Around` it that say nothing."""
    while isinstance(policy, Around) and owner_of(type(policy), "combine") is Around:
        policy = policy.base
    return policy


def combines_all(policy: Planner[Sequence]) -> bool:
    """Whether its class combines all of its rows; one that is no `Policy` is asked row by row."""
    return answers_for_all(type(policy), "combine", Policy)


def combines_one(policy: Planner[Sequence]) -> bool:
    """Whether it combines the canvas alone too. Raises ``ContractError`` where it says neither yes nor no,
    or yes and not how."""
    wanted: Any = wants_one(policy)
    inner = combiner(policy)
    kind = type(inner)
    if not isinstance(wanted, bool):
        raise ContractError(
            f"{kind.__name__}.combines_one is {told(wanted)}; give True or False, or a property that returns "
            "one of them"
        )
    if wanted and getattr(kind, "combine", None) is Policy.combine and not combines_all(inner):
        raise ContractError(
            f"{kind.__name__}.combines_one is True, and it does not say how; define combine, or combine_all"
        )
    return wanted
