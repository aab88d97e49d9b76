"""Signals that end a batch: the first is told, the second ends the process, and ignored ones stay ignored."""

from __future__ import annotations

import signal
import threading
from typing import NoReturn

import pytest

from llada_server.batch import signals
from llada_server.batch.signals import told_by_signals

pytestmark = pytest.mark.usefixtures("ending_signals")
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Left(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which the process would have ended."""
    statuses: list[int] = []

    def leave(status: int) -> NoReturn:
        statuses.append(status)
        raise Left

    monkeypatch.setattr(signals, "leave", leave)
    return statuses


@pytest.mark.parametrize("first", ENDING)
@pytest.mark.parametrize("second", ENDING)
def test_the_first_stops_it_and_the_second_ends_the_process(
    left: list[int], first: signal.Signals, second: signal.Signals
) -> None:
    stopped: list[bool] = []
    with told_by_signals(lambda: stopped.append(True)) as told:
        signal.raise_signal(first)
        assert (told, stopped, left) == ([first], [True], [])
        with pytest.raises(Left):
            signal.raise_signal(second)
    assert (told, stopped, left) == ([first], [True], [128 + second])


def test_what_the_caller_ignores_stays_ignored(left: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with told_by_signals(lambda: pytest.fail("it was told")) as told:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
    assert (told, left) == ([], [])
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_signals_are_the_caller_s_again_afterwards() -> None:
    before = [signal.getsignal(each) for each in ENDING]
    with told_by_signals(lambda: None):
        assert [signal.getsignal(each) for each in ENDING] != before
    assert [signal.getsignal(each) for each in ENDING] == before


def test_in_another_thread_nothing_changes() -> None:
    before, during = [signal.getsignal(each) for each in ENDING], list[object]()

    def enter() -> None:
        with told_by_signals(lambda: None):
            during.extend(signal.getsignal(each) for each in ENDING)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert during == before
