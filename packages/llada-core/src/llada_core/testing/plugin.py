"""A plugin of pytest, for those who ask for it: ``pytest_plugins = ["llada_core.testing.plugin"]`` in a
conftest.py, or ``-p llada_core.testing.plugin``.

With ``--llada-algorithm`` or ``--llada-distribution`` the checks of what is named are tests beside those that
are collected, without a class. Checks are marked ``llada_check``; one that fails is told in a sentence.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import pytest

from llada_core.parameters import parse_assignments
from llada_core.testing.checks import Check, Outcome, Suite, named
from llada_core.testing.classes import CheckFailed, Conformance
from llada_core.testing.suites import suites_of

__all__ = [
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_makereport",
]

_MARK = "llada_check"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what is to be checked, and on which model."""
    group = parser.getgroup("llada", "the conformance kit of llada")
    for what in ("algorithm", "distribution"):
        group.addoption(
            f"--llada-{what}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"Check the {what} of this name too; repeatable.",
        )
    group.addoption(
        "--llada-model",
        metavar="MODEL",
        help="Its model: a folder, a hub id or a wheel that holds one. Default: the embedded one.",
    )
    group.addoption(
        "--llada-parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="A parameter of the --llada-algorithm; repeatable.",
    )
    group.addoption(
        "--llada-trust-remote-code", action="store_true", help="Run code that comes with the model."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell the mark."""
    config.addinivalue_line("markers", f"{_MARK}: a check of llada's conformance kit")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the checks that options ask for, before -k and -m choose, and mark those of classes."""
    for item in items:
        kind = getattr(item, "cls", None)
        if isinstance(kind, type) and issubclass(kind, Conformance):
            item.add_marker(_MARK)
    items += _asked_for(session, config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A check that failed is a sentence: where it was raised tells nothing."""
    report = yield
    if report.when == "call" and call.excinfo is not None and isinstance(call.excinfo.value, CheckFailed):
        report.longrepr = str(call.excinfo.value)
    return report


class _CheckItem(pytest.Item):
    """One check as a test."""

    def __init__(self, *, check: Check, suite: Suite, **options: Any) -> None:
        super().__init__(**options)
        self.check, self.suite = check, suite
        self.add_marker(_MARK)

    def runtest(self) -> None:
        outcome = Outcome.of(self.check)
        if outcome.status == "not run":
            pytest.skip(outcome.reason or "")
        if outcome.status == "failed":
            raise CheckFailed(f"{outcome.check}: {outcome.reason}")

    def reportinfo(self) -> tuple[str, None, str]:
        return f"llada check {self.suite.subject}", None, self.check[0]


class _Suite(pytest.Collector):
    """The checks of one suite; they come from no file."""

    def __init__(self, *, suite: Suite, **options: Any) -> None:
        super().__init__(**options)
        self.suite = suite

    def collect(self) -> Iterable[pytest.Item]:
        for check in self.suite.checks:
            yield _CheckItem.from_parent(self, name=named(check[0]), check=check, suite=self.suite)


def _asked_for(session: pytest.Session, config: pytest.Config) -> list[pytest.Item]:
    """The tests of what options name, each suite once."""
    named_ones = [(name, True) for name in config.getoption("--llada-algorithm")]
    named_ones += [(name, False) for name in config.getoption("--llada-distribution")]
    _refuse_what_is_for_nothing(config, named_ones)
    suites: dict[str, Suite] = {}
    for name, takes in named_ones:
        for suite in _suites(config, name, takes_parameters=takes):
            suites.setdefault(f"llada-check::{suite.kind} {suite.subject}", suite)
    found: list[pytest.Item] = []
    for node, suite in suites.items():
        collector = _Suite.from_parent(session, name=suite.subject, nodeid=node, suite=suite)
        found += list(collector.collect())
    return found


def _refuse_what_is_for_nothing(config: pytest.Config, named_ones: list[tuple[str, bool]]) -> None:
    """Refuse options of a check where none is asked for. Raises ``pytest.UsageError``."""
    if config.getoption("--llada-parameter") and not config.getoption("--llada-algorithm"):
        raise pytest.UsageError("--llada-parameter is for an algorithm; name one by --llada-algorithm")
    for option in ("--llada-model", "--llada-trust-remote-code"):
        if config.getoption(option) and not named_ones:
            raise pytest.UsageError(
                f"{option} is for what is checked; name it by --llada-algorithm or --llada-distribution, or "
                "write a class"
            )


def _suites(config: pytest.Config, name: str, *, takes_parameters: bool) -> list[Suite]:
    try:
        params = parse_assignments(config.getoption("--llada-parameter")) if takes_parameters else {}
        made = suites_of(
            name,
            model=config.getoption("--llada-model"),
            params=params,
            trust_remote_code=config.getoption("--llada-trust-remote-code"),
        )
        return list(made)
    except ValueError as exc:  # llada_core.UsageError is one
        raise pytest.UsageError(str(exc)) from exc
