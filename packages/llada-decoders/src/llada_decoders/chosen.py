"""The parts that a composition names, and what of it is refused: parameters that no chosen part reads, and
choices that contradict."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from llada_core import (
    ContractError,
    LladaError,
    Parameter,
    ParameterError,
    PartInfo,
    PartUnavailable,
    UnknownPart,
    get_policy_info,
    get_rule_info,
    list_policies,
    list_rules,
    load_policy,
    load_rule,
)
from llada_core.faults import fault_of, one_line, remedy
from llada_core.values import told
from llada_runtime import Policy, Rule

from .declared.compose import ALGORITHM, PARAMETERS
from .declared.refusals import RANKS, REFUSALS, Choice, Refusal
from .sequences import refused

__all__ = [
    "chosen",
    "made",
    "parts_that_take",
    "refuse_chance",
    "refuse_contradictions",
    "refuse_rivals",
    "refuse_unread",
]

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


def made(part: PartInfo, values: Mapping[str, Any]) -> Any:
    """The rule or policy that the part's function makes of an algorithm's effective ``values``.

    Raises ``ParameterError`` where it cannot be imported here, or refuses its values, and ``ContractError``
    for whatever else it raises, and for what is no rule or policy.
    """
    load, kind = (load_rule, Rule) if part.kind == "rule" else (load_policy, Policy)
    effective, whose = part.effective(values), f"the {part.kind} {part.name} of {part.distribution}"
    try:
        found: Any = load(part.name)(effective)
    except PartUnavailable as exc:
        raise ParameterError(str(exc), parameter=_option(part), value=part.name) from exc
    except LladaError:
        raise
    except BaseException as exc:  # a part's function may raise anything
        problem = f"{whose} cannot be made: {one_line(fault_of(exc))}; {remedy(part.distribution)}"
        raise ContractError(problem, algorithm=ALGORITHM.name) from exc
    if not isinstance(found, kind):
        problem = f"{whose} is {told(found)}; let {part.spec.target} return a {kind.__name__}"
        raise ContractError(problem, algorithm=ALGORITHM.name)
    return found


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
            takers = " or ".join(f"{_option(part)}={part.name}" for part in parts_that_take(name))
            raise refused(name, values[name], f"is read with {takers} only; leave it out, or give that")
        under = _UNDER.get(name)
        if under is not None and not under.is_made(values):
            raise refused(name, values[name], f"is read with {under} only; leave it out, or give that")


def refuse_rivals(values: Mapping[str, Any], parts: Iterable[PartInfo]) -> None:
    """Refuse a value that is given beside another of the same part in whose favour it gives way, and would
    not be read. Raises ``ParameterError``."""
    for part in parts:
        given = [each for each in part.parameters if values.get(each.name) is not None]
        for one, other in itertools.permutations(given, 2):
            if other.name in one.default_unless:
                why = f"is not read beside {one.name}={values[one.name]!r}; give one of the two"
                raise refused(other.name, values[other.name], why)


def refuse_chance(values: Mapping[str, Any], rule: Rule) -> None:
    """Refuse an order by chance for a rule that ranks positions itself, whoever brings it. Raises
    ``ParameterError``."""
    if values["remasking"] == "random" and type(rule).score is not Rule.score:
        remedy = "give remasking='low_confidence', or another rule"
        raise refused("remasking", "random", f"does not go with rule={values['rule']!r}: {RANKS}; {remedy}")


def refuse_contradictions(
    values: Mapping[str, Any], given: Mapping[str, Any], declared: Collection[Parameter]
) -> None:
    """Refuse two choices of which `REFUSALS` tell that they contradict.

    ``given`` are the ``values`` without what is only a default of a part. Raises ``ParameterError`` that says
    for each of the two what goes with all others that are given.
    """
    refusal = _contradiction(values)
    if refusal is not None:
        one, other = refusal.one.name, refusal.other.name
        ways = (_instead(choice, given, declared) for choice in (refusal.other, refusal.one))
        found = [way for way in ways if way is not None]
        remedy = ", or ".join(found) or "give another of the two"
        why = f"does not go with {other}={values[other]!r}: {refusal.why}; {remedy}"
        raise refused(one, values[one], why)


def _contradiction(values: Mapping[str, Any]) -> Refusal | None:
    made = (each for each in REFUSALS if each.one.is_made(values) and each.other.is_made(values))
    return next(made, None)


def _instead(choice: Choice, given: Mapping[str, Any], declared: Collection[Parameter]) -> str | None:
    """What goes with all else that is given, of the values that the parameter is known to take, the likeliest
    first."""
    name = choice.name
    own = next((each for each in PARAMETERS if each.name == name), None)
    if own is None:  # of a part: what is given is to go
        return f"leave {name} out" if _goes({**given, name: None}, declared) else None
    known = (own.default, *own.choices, *own.examples, *choice.others)
    found = next((value for value in known if _goes({**given, name: value}, declared)), None)
    return None if found is None else f"give {name}={found!r}"


def _goes(given: Mapping[str, Any], declared: Collection[Parameter]) -> bool:
    """Whether all that is given is read, and nothing of it contradicts."""
    try:
        parts = chosen(given)
        refuse_unread(given, declared, parts)
        refuse_rivals(given, parts)
    except ParameterError:
        return False
    return _contradiction(given) is None


def _option(part: PartInfo) -> str:
    return "rule" if part.kind == "rule" else "cache"
