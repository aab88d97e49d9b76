"""The checks of one loaded model: each compares what an algorithm decodes with what it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

from llada_core import AlgorithmUnavailable, Answer, ContractError, GenerationAlgorithm
from llada_core.faults import fault_of, one_line
from llada_core.loading import LoadedModel
from llada_core.parameters import called, value_of
from llada_core.values import told
from llada_dev.verify.differences import Difference, agreement, first_difference
from llada_dev.verify.findings import Finding
from llada_dev.verify.neighbours import neighbours
from llada_dev.verify.promises import Conditions
from llada_dev.verify.rows import Answered, Case, Decoded, Row, decoded

__all__ = ["checked", "compared"]

_WARM = 0.8  # the temperature at which tokens are drawn
_Check = Callable[[LoadedModel, Case, Conditions, int], Finding]
_PARTS = ("policy", "rule")  # of a step algorithm: what plans its forwards, and what keeps tokens


def checked(lm: LoadedModel, cases: Sequence[Case], *, rows: int) -> Iterator[Finding]:
    """What is found of every case on ``lm``, up to ``rows`` rows sharing a forward.

    A case of which a row fails alone is checked no further.
    """
    conditions = Conditions.of(lm.model.network)
    sound = [case for case in cases if case.problem is None]
    for case in cases:
        if case.problem is not None:
            yield Finding.failure("decodes", case.label, case.problem)
            continue
        for check in _OF_ONE:
            yield _found(check, lm, case, conditions, rows)
    if len(sound) == 1:
        reason = "it is the only algorithm of this call" + (" that decodes" if len(cases) > 1 else "")
        yield Finding.not_run("mixed", sound[0].label, reason)
    elif sound:
        yield from _mixed(lm, sound, conditions, rows)


def _found(check: _Check, lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    """What the check finds; where it cannot be made, that is what is found, and the others are made."""
    try:
        return check(lm, case, conditions, rows)
    except BaseException as exc:  # a plugin may raise anything
        name = check.__name__.removeprefix("_")
        return Finding.failure(name, case.label, f"it cannot be checked: {one_line(fault_of(exc))}")


def compared(
    check: str,
    case: Answered,
    expected: Sequence[Decoded],
    found: Sequence[Decoded] | None = None,
    *,
    conditions: Conditions,
) -> Finding:
    """Whether ``found``, by default the case's rows alone, has the tokens and forwards of ``expected``."""
    found = case.alone if found is None else found
    for at, each in enumerate(chain(found, expected)):
        if each.error is not None:
            return Finding.failure(check, case.label, f"prompt {at % len(found)} failed: {each.error}")
    mine, theirs = [each.tokens for each in found], [each.tokens for each in expected]
    equal = sum(one.is_as(other) for one, other in zip(found, expected, strict=True))
    share, difference = agreement(mine, theirs), first_difference(mine, theirs)
    holds = equal == len(found)
    promised = conditions.promises(check)
    return Finding(
        check=check,
        algorithm=case.label,
        verdict="told" if not promised else "passed" if holds else "failed",
        detail=_detail(found, expected, equal, share, difference),
        answers=len(found),
        equal=equal,
        agreement=share,
        difference=difference,
    )


def _detail(
    found: Sequence[Decoded],
    expected: Sequence[Decoded],
    equal: int,
    share: float,
    difference: Difference | None,
) -> str:
    said = f"{equal} of {len(found)} answers are the same"
    if equal == len(found):
        return said
    if difference is not None:
        return f"{said}, {share:.1%} of the tokens; {difference}"
    pairs = enumerate(zip(found, expected, strict=True))
    at, (one, other) = next((at, pair) for at, pair in pairs if pair[0].nfe != pair[1].nfe)
    return f"{said}, all of the tokens; prompt {at} took {one.nfe} forwards where {other.nfe} are expected"


def _reference(lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    """Against the algorithm's own plain path, which it may not have."""
    expected = []
    for at, row in enumerate(case.rows):
        try:
            params = case.algorithm.validate_args(**row.parameters)
            answer = case.algorithm.reference_answer(lm.model.network, row.prompt_ids, params)
            expected.append(_as_answer(answer))
        except AlgorithmUnavailable as exc:
            return Finding.not_run("reference", case.label, exc.reason)
        except BaseException as exc:  # it is a plugin's, and may raise anything
            told = one_line(fault_of(exc))
            return Finding.failure("reference", case.label, f"prompt {at}: reference_answer failed: {told}")
    return compared("reference", case, expected, conditions=conditions)


def _as_answer(answer: Any) -> Decoded:
    """What ``reference_answer`` returned. Raises ``ContractError`` where that is no `Answer`."""
    if not isinstance(answer, Answer):
        raise ContractError(f"it returned {told(answer)}; return an Answer")
    return Decoded(tokens=tuple(answer.token_ids), nfe=answer.nfe)


def _batch(lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    """Beside each other, and beside rows of other parameters, which come first: what is taken from the first
    row of a call is a neighbour's."""
    others = neighbours(lm, case)
    if len(case.rows) + len(others) == 1:
        return Finding.not_run("batch", case.label, "one prompt shares no forward; give several")
    order = [*zip_longest(others, case.rows)]
    together = [(row, own) for pair in order for row, own in zip(pair, (False, True), strict=True) if row]
    answers = decoded(lm, [row for row, _ in together], together=rows)
    found = [each for each, (_, own) in zip(answers, together, strict=True) if own]
    return compared("batch", case, case.alone, found, conditions=conditions)


def _repeat(lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    found = decoded(lm, case.rows, together=1)
    return compared("repeat", case, case.alone, found, conditions=conditions)


def _seed(lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    if called("seed", case.algorithm.parameters) is None:
        return Finding.not_run("seed", case.label, "it takes no seed")
    first, again = (decoded(lm, [_drawn(case, row) for row in case.rows], together=1) for _ in range(2))
    return compared("seed", case, first, again, conditions=conditions)


def _drawn(case: Case, row: Row) -> Row:
    """The row with tokens that are drawn: at the temperature that the call gives, if that is one, and as it
    is where the algorithm takes none."""
    given = value_of("temperature", row.parameters, case.algorithm.parameters)
    as_it_is = given or called("temperature", case.algorithm.parameters) is None
    return row if as_it_is else _changed(case.algorithm, row, {"temperature": _WARM})


def _changed(algorithm: GenerationAlgorithm, row: Row, values: Mapping[str, Any]) -> Row:
    """The row with these values, by canonical name, under whatever names it has theirs."""
    names = {name for value in values for name in _names(algorithm, value)}
    kept = {name: value for name, value in row.parameters.items() if name not in names}
    return Row(algorithm=row.algorithm, prompt_ids=row.prompt_ids, parameters={**kept, **values})


def _names(algorithm: GenerationAlgorithm, name: str) -> tuple[str, ...]:
    parameter = called(name, algorithm.parameters)
    return (name,) if parameter is None else parameter.names


def _cached(lm: LoadedModel, case: Case, conditions: Conditions, rows: int) -> Finding:
    """Against the same without a cache: how much the cache changes is told, and is no fault."""
    effective = case.algorithm.validate_args(**case.rows[0].parameters)
    reason = None if _plans(case.algorithm) else "what it runs is its own: it does not say"
    if reason is None and not _caches(case.algorithm, effective):
        reason = "it does not cache"
    plain = None if reason else _uncached(lm, case)
    if plain is None:
        return Finding.not_run(
            "cached", case.label, reason or "no algorithm decodes the same without a cache"
        )
    return compared("cached", case, decoded(lm, plain, together=rows), conditions=conditions)


def _plans(algorithm: Any) -> bool:
    """Whether it is run by a policy and a rule, which can be asked, and not by code of its own."""
    return algorithm.yields_steps() and all(callable(getattr(algorithm, name, None)) for name in _PARTS)


def _caches(algorithm: Any, effective: Mapping[str, Any]) -> bool:
    """Whether its policy, the part of a step algorithm that plans forwards, caches keys and values."""
    return bool(algorithm.policy(effective).caches)


def _uncached(lm: LoadedModel, case: Case) -> list[Row] | None:
    """The rows as decoded without a cache: by its own parameter ``cache``, or by an algorithm of its engine
    with the same rule."""
    algorithm, own = case.algorithm, called("cache", case.algorithm.parameters)
    if own is not None and "none" in own.choices:
        return [_changed(algorithm, row, {"cache": "none"}) for row in case.rows]
    effective = [algorithm.validate_args(**row.parameters) for row in case.rows]
    for name, reason in lm.algorithms().items():
        other = lm.algorithm(name) if reason is None else None
        if (
            other is not None
            and other.engine == algorithm.engine
            and _is_without(other, algorithm, effective)
        ):
            pairs = zip(case.rows, effective, strict=True)
            return [
                Row(algorithm=name, prompt_ids=row.prompt_ids, parameters=params) for row, params in pairs
            ]
    return None


def _is_without(other: Any, algorithm: Any, effective: Sequence[Mapping[str, Any]]) -> bool:
    """Whether ``other`` decodes by the same rule as ``algorithm`` with these parameters, and caches
    nothing."""
    taken = {parameter.name for parameter in other.parameters}
    if not _plans(other) or not taken >= set(effective[0]):
        return False
    try:
        theirs = other.validate_args(**effective[0])
        return not _caches(other, theirs) and other.rule(theirs) == algorithm.rule(effective[0])
    except Exception as exc:  # a bystander's fault, which its own checks tell
        fault_of(exc)
        return False


def _mixed(lm: LoadedModel, cases: Sequence[Case], conditions: Conditions, rows: int) -> Iterator[Finding]:
    # Prompt by prompt, so that neighbours in a forward are of different algorithms; first a row of other
    # parameters of each.
    first = [row for case in cases for row in neighbours(lm, case)[:1]]
    order = [(case, at) for at in range(len(cases[0].rows)) for case in cases]
    asked = [*first, *(case.rows[at] for case, at in order)]
    together = decoded(lm, asked, together=max(rows, 2 * len(cases)))[len(first) :]
    for case in cases:
        found = [each for each, (owner, _) in zip(together, order, strict=True) if owner is case]
        yield compared("mixed", case, case.alone, found, conditions=conditions)


_OF_ONE: tuple[_Check, ...] = (
    _reference,
    _batch,
    _repeat,
    _seed,
    _cached,
)
