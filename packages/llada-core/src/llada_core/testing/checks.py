"""Checks as data, and the error that tells of all that fail. This module does not know what is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llada_core.faults import fault_of, one_line

__all__ = ["Check", "ConformanceError", "Failure", "run_checks"]

Check = tuple[str, Callable[[], object]]
"""What should hold, and a function that raises where it does not: an ``AssertionError`` ends with what to
do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One check that failed: what should hold, and what was found, ending with what to do."""

    check: str
    problem: str


class ConformanceError(AssertionError):
    """``subject`` does not keep its contract; ``failures`` says where, each with what to do."""

    def __init__(self, subject: str, failures: Sequence[Failure]) -> None:
        self.subject, self.failures = subject, tuple(failures)
        lines = [f"- {failure.check}: {failure.problem}" for failure in failures]
        super().__init__("\n".join([f"{subject} fails {len(failures)} of its checks:", *lines]))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.subject, self.failures)


def run_checks(subject: str, checks: Iterable[Check]) -> tuple[str, ...]:
    """Run all ``checks``, each by itself: what was checked, where all of it holds.

    Raises:
        ConformanceError: some do not hold. All of these are in it.
    """
    names, failures = [], []
    for name, check in checks:
        names.append(name)
        try:
            check()
        except AssertionError as exc:
            failures.append(Failure(check=name, problem=str(exc) or "it does not hold"))
        except BaseException as exc:  # whatever is raised is a finding, and the next is checked
            failures.append(Failure(check=name, problem=f"{one_line(fault_of(exc))}; it should not raise"))
    if failures:
        raise ConformanceError(subject, failures)
    return tuple(names)
