"""Asking for several rows at once, such that what is wrong with one of them is the fault of that one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from llada_core.faults import fault_of

__all__ = ["sort_out", "together"]

_Row = TypeVar("_Row")
_Answer = TypeVar("_Answer")


def together(
    rows: list[_Row],
    ask: Callable[[list[_Row]], list[_Answer]],
    *,
    passes: Callable[[Exception], bool] = lambda fault: False,
) -> list[_Answer | Exception]:
    """What is answered to ``ask`` of each of the ``rows``, which is asked of all of them at once.

    Where that raises, it is asked row by row, and of a row for which it raises alone, the answer is what it
    raised. Raises what ``passes``, and interrupts.
    """
    try:
        return [*ask(rows)]
    except BaseException as exc:  # what is asked may raise anything; it is its row's fault
        fault = fault_of(exc)
        if passes(fault):
            raise
        if len(rows) == 1:
            return [fault]
        del fault  # whose frames would keep alive what they hold, on a device too
    return [answer for row in rows for answer in together([row], ask, passes=passes)]


def sort_out(
    rows: Iterable[_Row],
    answers: Iterable[_Answer | Exception],
    found: dict[_Row, _Answer],
    faults: dict[_Row, Exception],
) -> None:
    """Add the ``answers`` of the ``rows`` to what is ``found``, or to the ``faults``."""
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, Exception):
            faults[row] = answer
        else:
            found[row] = answer
