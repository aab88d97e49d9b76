"""Rows of other parameters, to be decoded beside those that are checked. What becomes of them is not
compared: they are there to be ignored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from llada_core import GenerationRequest, LladaError
from llada_core.loading import LoadedModel
from llada_core.parameters import Parameter, called
from llada_core.testing.samples import Setting, is_taken, values_of, varied
from llada_dev.verify.rows import Case, Row

__all__ = ["neighbours"]

_MOST = 8


def neighbours(lm: LoadedModel, case: Case) -> list[Row]:
    """A row beside each row of the case, with its prompt and with another value of a parameter that the call
    does not give; none where there is no such, and where rows of its algorithm share no forwards."""
    if not case.algorithm.yields_steps():
        return []
    changes = _changes(case)
    found = [_first_that_is_taken(lm, row, changes, at) for at, row in enumerate(case.rows)]
    return [row for row in found if row is not None]


def _changes(case: Case) -> list[dict[str, Any]]:
    """What is given besides, in each of some settings: in turn another value of all parameters that take one
    together, and of one alone."""
    algorithm = case.algorithm
    declared = [each for each in algorithm.parameters if each.name not in algorithm.chat_options]
    given = dict(_canonical(declared, case.rows[0].parameters))

    def takes(params: Setting) -> object:
        return algorithm.validate_args(**params)

    single = varied(takes, declared, given, most=_MOST)
    joint = [_all_changed(takes, declared, given, turn) for turn in range(len(single))]
    settings = itertools.chain.from_iterable(zip(joint, single, strict=True))
    return [{name: value for name, value in each.items() if name not in given} for each in settings]


def _all_changed(
    takes: Callable[[Setting], object], declared: list[Parameter], given: Setting, turn: int
) -> Setting:
    """``given`` with another value of each further parameter, as far as they are taken together."""
    params = dict(given)
    for parameter in declared:
        values = [value for value in values_of(parameter) if value != parameter.default]
        if parameter.name not in given and values:
            changed = {**params, parameter.name: values[turn % len(values)]}
            params = changed if is_taken(takes, changed) else params
    return params


def _canonical(declared: list[Parameter], given: Any) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        parameter = called(name, declared)
        yield (name if parameter is None else parameter.name), value


def _first_that_is_taken(lm: LoadedModel, row: Row, changes: list[dict[str, Any]], at: int) -> Row | None:
    """The row with one of the ``changes``, another one for each place."""
    for change in itertools.islice(itertools.cycle(changes), at, at + len(changes)):
        changed = Row(
            algorithm=row.algorithm, prompt_ids=row.prompt_ids, parameters={**row.parameters, **change}
        )
        if _is_taken(lm, changed):
            return changed
    return None


def _is_taken(lm: LoadedModel, row: Row) -> bool:
    request = GenerationRequest(
        prompt=list(row.prompt_ids), algorithm=row.algorithm, parameters=row.parameters
    )
    try:
        lm.algorithm(row.algorithm).prepare(lm.model, request)
    except LladaError:
        return False
    return True
