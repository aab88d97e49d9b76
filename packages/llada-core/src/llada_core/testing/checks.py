"""Checks as data, what becomes of each, and the error that tells of all that fail. This module does not know
what is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llada_core.faults import fault_of, one_line

__all__ = ["Check", "ConformanceError", "Failure", "NotRun", "Outcome", "Suite", "named", "run_checks"]

Check = tuple[str, Callable[[], object]]
"""What should hold, and a function that raises where it does not: an ``AssertionError`` ends with what to
do. ``NotRun`` says why it cannot be told here."""


class NotRun(Exception):
    """A check cannot be run here; says why, ending with what would let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One check that failed: what should hold, and what was found, ending with what to do."""

    check: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one check: ``reason`` says why it failed or was not run, and is None where it passed."""

    check: str
    status: Literal["passed", "failed", "not run"]
    reason: str | None = None

    @classmethod
    def of(cls, check: Check) -> Outcome:
        """Run ``check``. Whatever it raises is a finding, but for interrupts."""
        name, call = check
        try:
            call()
        except NotRun as exc:
            return cls(check=name, status="not run", reason=str(exc))
        except AssertionError as exc:
            return cls(check=name, status="failed", reason=str(exc) or "it does not hold")
        except BaseException as exc:
            return cls(check=name, status="failed", reason=f"{one_line(fault_of(exc))}; it should not raise")
        return cls(check=name, status="passed")

    def as_dict(self) -> dict[str, object]:
        """The outcome in JSON types."""
        return {"check": self.check, "status": self.status, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The checks of one thing; ``subject`` is what it is called, ``kind`` what it is."""

    kind: Literal["distribution", "engine", "algorithm"]
    subject: str
    checks: tuple[Check, ...]

    def outcomes(self) -> Iterator[Outcome]:
        """What becomes of each, one after the other."""
        return map(Outcome.of, self.checks)


class ConformanceError(AssertionError):
    """``subject`` does not keep its contract; ``failures`` says where, each with what to do."""

    def __init__(self, subject: str, failures: Sequence[Failure]) -> None:
        self.subject, self.failures = subject, tuple(failures)
        lines = [f"- {failure.check}: {failure.problem}" for failure in failures]
        super().__init__("\n".join([f"{subject} fails {len(failures)} of its checks:", *lines]))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.subject, self.failures)


def run_checks(subject: str, checks: Iterable[Check]) -> tuple[str, ...]:
    """Run all ``checks``, each by itself: those that hold. One that says ``NotRun`` is none of them.

    Raises:
        ConformanceError: some do not hold. All of these are in it.
    """
    outcomes = list(map(Outcome.of, checks))
    failures = [
        Failure(check=each.check, problem=each.reason or "") for each in outcomes if each.status == "failed"
    ]
    if failures:
        raise ConformanceError(subject, failures)
    return tuple(each.check for each in outcomes if each.status == "passed")


def named(check: str) -> str:
    """The name of a check as one word, for the id of a test: ``a batch is its rows alone`` is
    ``a-batch-is-its-rows-alone``."""
    return re.sub(r"[^a-z0-9]+", "-", check.lower()).strip("-")
