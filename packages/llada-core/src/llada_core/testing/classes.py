"""``AlgorithmConformance`` and ``EngineConformance``: classes of tests, of which pytest makes one a check.

They need no plugin of pytest, and this module does not import it.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llada_core.faults import fault_of, one_line
from llada_core.testing.checks import Check, Outcome, Suite, named
from llada_core.testing.subject import Given
from llada_core.testing.suites import algorithm_suites, engine_suites

__all__ = ["AlgorithmConformance", "CheckFailed", "Conformance", "EngineConformance"]


class CheckFailed(AssertionError):
    """A check that failed; its text says what should hold, and what was found, ending with what to do."""


class Conformance:
    """What the two classes share: a test for each check of their suites."""

    model: ClassVar[Any] = None
    """The folder, hub id or wheel of a checkpoint; None is the embedded one (llada-tiny)."""

    trust_remote_code: ClassVar[bool] = False
    """Whether code that comes with the checkpoint is run."""

    _made: ClassVar[tuple[Suite, ...] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """A class below another one asks for checks of its own."""
        super().__init_subclass__(**options)
        cls._made = None

    @classmethod
    def suites(cls) -> Iterator[Suite]:
        """The suites whose checks are tests."""
        raise NotImplementedError

    @classmethod
    def checks(cls) -> dict[str, Check]:
        """The checks by the ids of their tests; what cannot be asked for its checks is one that fails."""
        if cls._made is None:
            try:
                cls._made = tuple(cls.suites())
            except BaseException as exc:  # an algorithm may raise anything
                cls._made = (_not_there(cls.__name__, fault_of(exc)),)
        return {named(check[0]): check for suite in cls._made for check in suite.checks}

    @classmethod
    def pytest_generate_tests(cls, metafunc: Any) -> None:
        """Make a test of each check. Asked by pytest where it collects the class."""
        if "check" in metafunc.fixturenames:
            metafunc.parametrize("check", list(cls.checks()))

    @classmethod
    def teardown_class(cls) -> None:
        """Let go of the models."""
        cls._made = None

    def test(self, check: str) -> None:
        """Run one check; what cannot be told here is skipped."""
        __tracebackhide__ = True
        outcome = Outcome.of(self.checks()[check])
        if outcome.status == "not run":
            raise unittest.SkipTest(f"{outcome.check}: {outcome.reason}")
        if outcome.status == "failed":
            raise CheckFailed(f"{outcome.check}: {outcome.reason}")


class AlgorithmConformance(Conformance):
    """The checks of an algorithm and of the distribution that it came with, a test each.

    ::

        from llada_core.testing import AlgorithmConformance

        class TestMine(AlgorithmConformance):
            algorithm = "mine"
    """

    algorithm: ClassVar[Given]
    """The name of a registered one, or a class or an object."""

    parameters: ClassVar[Mapping[str, Any]] = {}
    """What is given to ``generate`` in each check."""

    @classmethod
    def suites(cls) -> Iterator[Suite]:
        """That of its distribution, if it has one, and its own."""
        return algorithm_suites(
            cls.algorithm,
            model=cls.model,
            params=cls.parameters,
            trust_remote_code=cls.trust_remote_code,
        )


class EngineConformance(Conformance):
    """The checks of an engine and of the distribution that it came with, a test each.

    ::

        from llada_core.testing import EngineConformance

        class TestMine(EngineConformance):
            engine = "mine"
    """

    engine: ClassVar[str]
    """Its name."""

    @classmethod
    def suites(cls) -> Iterator[Suite]:
        """That of its distribution, if it has one, and its own; those of its algorithms are classes of their
        own."""
        of_all = engine_suites(cls.engine, model=cls.model, trust_remote_code=cls.trust_remote_code)
        return (suite for suite in of_all if suite.kind != "algorithm")


def _not_there(name: str, problem: Exception) -> Suite:
    def fail() -> None:
        raise AssertionError(f"{one_line(problem)}; correct the class")

    return Suite(kind="algorithm", subject=name, checks=(("its checks can be made", fail),))
