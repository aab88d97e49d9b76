"""The conformance checks of a step algorithm, without those that another test runs."""

from __future__ import annotations

from typing import Any

from llada_core import get_algorithm
from llada_core.testing import Outcome, Suite
from llada_core.testing.suites import algorithm_suites, suites_of

__all__ = ["LONG", "held", "held_by_all", "held_by_answers"]

LONG = ("each parameter", "neutral values", "it comes to an end", "its rows are the same beside")
"""How the checks begin that take longer than all others together."""


def held(
    name: str, model: Any, *, but: tuple[str, ...] = (), trust_remote_code: bool = False, **params: Any
) -> set[str]:
    """The checks that hold of the algorithm ``name`` on ``model``, where none fails.

    Those whose names begin as one of ``but`` are not run.
    """
    *_, suite = algorithm_suites(name, model=model, params=params, trust_remote_code=trust_remote_code)
    return _passed(suite, but)


def held_by_all(
    distribution: str, model: str | None, *, trust_remote_code: bool = False, **params: Any
) -> list[tuple[str, set[str]]]:
    """As `held`, of a distribution, its engine and each of its algorithms, in this order and by name.

    The algorithms answer with ``params``.
    """
    return [
        (
            suite.subject,
            held(suite.subject, model, trust_remote_code=trust_remote_code, **params)
            if suite.kind == "algorithm"
            else _passed(suite, ()),
        )
        for suite in suites_of(distribution, model=model, trust_remote_code=trust_remote_code)
    ]


def _passed(suite: Suite, but: tuple[str, ...]) -> set[str]:
    outcomes = [Outcome.of(check) for check in suite.checks if not check[0].startswith(but)]
    assert [each for each in outcomes if each.status == "failed"] == []
    return {each.check for each in outcomes if each.status == "passed"}


def held_by_answers(name: str, model: Any, **params: Any) -> set[str]:
    """As `held`, of the checks that generate on ``model`` with ``params``.

    Those that an algorithm brings itself look at its rule, its policy and what each parameter does on
    networks of their own: whatever the model and the parameters, they are the same.
    """
    own = tuple(check for check, _ in get_algorithm(name).conformance_checks())
    return held(name, model, but=own, **params)
