"""What of a composition is refused: parameters that no chosen part reads, and choices that contradict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llada_core import (
    Parameter,
    ParameterError,
    PartInfo,
    UnknownPart,
    get_policy_info,
    get_rule_info,
    list_policies,
    list_rules,
)

from .declared.compose import PARAMETERS
from .declared.refusals import REFUSALS, Choice
from .sequences import refused

__all__ = ["chosen", "parts_that_take", "refuse_contradictions", "refuse_unread"]

_OWN = {each.name for each in PARAMETERS}
_UNDER = {
    "window_size": Choice(name="horizon", values=("window", "window_far")),
    "delimiter_ids": Choice(name="schedule", values=("adaptive",)),
    "delimiter_threshold": Choice(name="schedule", values=("adaptive",)),
}
"""Parameters of its own that are read under one choice."""


def chosen(values: Mapping[str, Any]) -> tuple[PartInfo, PartInfo]:
    """The rule and the policy that are named. Raises ``ParameterError`` for one that is not installed."""
    return _found("rule", get_rule_info, values), _found("cache", get_policy_info, values)


def _found(option: str, info: Callable[[str], PartInfo], values: Mapping[str, Any]) -> PartInfo:
    try:
        return info(values[option])
    except UnknownPart as exc:
        raise ParameterError(str(exc), parameter=option, value=values[option]) from exc


def parts_that_take(name: str) -> list[PartInfo]:
    """The rules and policies that take a parameter of this name."""
    rules = (get_rule_info(rule) for rule in list_rules())
    policies = (get_policy_info(policy) for policy in list_policies())
    return [part for part in (*rules, *policies) if name in {each.name for each in part.parameters}]


def refuse_unread(
    values: Mapping[str, Any], declared: Iterable[Parameter], parts: Iterable[PartInfo]
) -> None:
    """Refuse a value that is given and that nothing chosen reads. Raises ``ParameterError``."""
    read = _OWN | {each.name for part in parts for each in part.parameters}
    for name in (each.name for each in declared if values[each.name] is not None):
        if name not in read:
            told = " or ".join(f"{_option(part)}={part.name}" for part in parts_that_take(name))
            raise refused(name, values[name], f"is read with {told} only; leave it out, or give that")
        under = _UNDER.get(name)
        if under is not None and not under.is_made(values):
            raise refused(name, values[name], f"is read with {under} only; leave it out, or give that")


def refuse_contradictions(values: Mapping[str, Any]) -> None:
    """Refuse two choices of which `REFUSALS` tell that they contradict. Raises ``ParameterError``."""
    for refusal in REFUSALS:
        one, other = refusal.one.name, refusal.other.name
        if refusal.one.is_made(values) and refusal.other.is_made(values):
            told = f"does not go with {other}={values[other]!r}: {refusal.why}; give another of the two"
            raise refused(one, values[one], told)


def _option(part: PartInfo) -> str:
    return "rule" if part.kind == "rule" else "cache"
