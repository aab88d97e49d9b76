"""What is an interrupt passes every guard; what is not is a fault, whatever it derives from."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest

from llada_core.faults import fault_of, is_interrupt, one_line, remedy, uninterrupted, whose


class Panic(BaseException):
    """As Rust extensions raise where they panic."""


class Stopped(KeyboardInterrupt):
    pass


class Cancelled(BaseException):
    __module__ = "trio"


class GreenletExit(BaseException):
    __module__ = "greenlet"


class Vicious(BaseException):
    def __str__(self) -> str:
        raise Panic


INTERRUPTS = [
    KeyboardInterrupt(),
    GreenletExit(),
    Stopped(),
    BaseExceptionGroup("both", [Panic(), KeyboardInterrupt()]),
    BaseExceptionGroup("deep", [BaseExceptionGroup("in it", [GreenletExit()])]),
]
FAULTS = [
    Panic("index out of bounds"),
    Vicious(),
    SystemExit(3),
    ValueError("no"),
    CancelledError(),
    GeneratorExit(),
    asyncio.CancelledError(),
    Cancelled(),
    pytest.skip.Exception("no such module"),
    BaseExceptionGroup("both", [Panic(), SystemExit()]),
    StopIteration(),
]


@pytest.mark.parametrize("exc", INTERRUPTS, ids=repr)
def test_an_interrupt_is_raised_again(exc: BaseException) -> None:
    assert is_interrupt(exc)
    with pytest.raises(BaseException) as caught:  # noqa: PT011  which one is asserted
        fault_of(exc)
    assert caught.value is exc


@pytest.mark.parametrize("exc", INTERRUPTS, ids=repr)
def test_where_nobody_interrupts_everything_is_a_fault(exc: BaseException) -> None:
    with uninterrupted():
        assert not is_interrupt(exc)
        assert fault_of(exc).__cause__ is exc
        with ThreadPoolExecutor(1) as other:  # a thread of somebody who may interrupt it
            assert other.submit(is_interrupt, exc).result()
    assert is_interrupt(exc)


@pytest.mark.parametrize("exc", FAULTS, ids=lambda exc: type(exc).__name__)
def test_a_fault_is_an_exception_that_says_the_same(exc: BaseException) -> None:
    fault = fault_of(exc)
    assert isinstance(fault, Exception)
    assert one_line(fault) == one_line(exc)
    assert exc in (fault, fault.__cause__)
    assert one_line(pickle.loads(pickle.dumps(fault))) == one_line(exc)


@pytest.mark.parametrize(
    ("exc", "line"),
    [
        (Panic("a\n b"), "Panic: a b"),
        (Vicious(), "Vicious"),
        (ValueError("cut \ud83d off"), "ValueError: cut \\ud83d off"),
        (SystemExit(), "SystemExit"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_exception_is_told_in_a_line_that_can_be_written(exc: BaseException, line: Any) -> None:
    assert one_line(exc) == line
    line.encode()


def test_a_remedy_says_who_mends_it() -> None:
    assert remedy("llada-x") == "upgrade llada-x, or tell its authors"
    assert remedy(None) == "mend its code, or take another algorithm"
    assert (whose("x", "llada-x"), whose("x", None)) == ("x of llada-x", "x")
