"""The conformance checks of a step algorithm, without those that another test runs."""

from __future__ import annotations

from typing import Any

from llada_core import get_algorithm
from llada_core.testing import Outcome
from llada_core.testing.suites import algorithm_suites

__all__ = ["held", "held_by_answers"]


def held(name: str, model: Any, *, but: tuple[str, ...] = (), **params: Any) -> set[str]:
    """The checks that hold of the algorithm ``name`` on ``model``, where none fails.

    Those whose names begin as one of ``but`` are not run.
    """
    *_, suite = algorithm_suites(name, model=model, params=params)
    outcomes = [Outcome.of(check) for check in suite.checks if not check[0].startswith(but)]
    failed = [each for each in outcomes if each.status == "failed"]
    assert failed == []
    return {each.check for each in outcomes if each.status == "passed"}


def held_by_answers(name: str, model: Any, **params: Any) -> set[str]:
    """As `held`, of the checks that generate on ``model`` with ``params``.

    Those that an algorithm brings itself look at its rule, its policy and what each parameter does on
    networks of their own: whatever the model and the parameters, they are the same.
    """
    own = tuple(check for check, _ in get_algorithm(name).conformance_checks())
    return held(name, model, but=own, **params)
