"""The program ``llada`` in this process: what it was told and what it said."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from llada_core.cli.program import run

__all__ = ["Llada", "Ran", "error", "llada", "notes_of"]


class Ran(NamedTuple):
    """What one run left behind."""

    status: int
    out: str
    err: str


Llada = Callable[..., Ran]
"""``llada("generate", "Hello", typed="lines of stdin")``"""


def error(ran: Ran, *, status: int) -> str:
    """The one line of the error that ended a run with this ``status`` and without an answer."""
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err


def notes_of(ran: Ran) -> list[str]:
    """The lines on stderr beside the figures of answers, of a run that went well."""
    assert ran.status == 0
    return [line for line in ran.err.splitlines() if not line.startswith("NFE ")]


@pytest.fixture
def llada(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Llada:
    """A function that runs ``llada`` with these arguments; ``typed`` is what stands on stdin."""

    def call(*arguments: str, typed: str | bytes | None = None) -> Ran:
        if isinstance(typed, bytes):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
        elif typed is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = run(arguments)
        return Ran(status, *capsys.readouterr())

    return call
