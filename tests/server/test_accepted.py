"""What has been taken and has not ended: by many threads at a time, and while signals come."""

from __future__ import annotations

import random
import signal
import threading
import time
from concurrent.futures import CancelledError
from types import FrameType

import pytest

from llada_server.draining import Server
from llada_server.scheduler.accepted import Accepted
from llada_server.scheduler.events import Began, Changed, Ended, Failed
from llada_server.scheduler.work import Closing, Full, Question
from llada_server.scheduler.worker import Worker
from llada_server.serving import application_of
from llada_server.settings import ServerSettings
from tests.server.apps import scripted_model
from tests.server.fakes import ScriptedSession, Silent
from tests.server.test_worker import Heard, request, until


def test_so_many_are_taken_and_none_once_it_is_closed() -> None:
    accepted, first = Accepted(1), Question(int)
    accepted.add(first)
    with pytest.raises(Full, match="1 requests"):
        accepted.add(Question(int))
    assert accepted.discard(first)
    assert not accepted.discard(first)
    accepted.close()
    with pytest.raises(Closing):
        accepted.add(first)
    assert len(accepted) == 0


def test_a_signal_waits_for_no_lock() -> None:
    """A handler runs in the thread that it interrupts, between any two of its instructions."""
    served, metrics = scripted_model(ScriptedSession(), ServerSettings())
    accepted = Accepted(9)
    served.worker._accepted = accepted
    server = Server(application_of(served, metrics), served.worker, served.settings)
    with accepted._lock:  # as where it interrupts ``add``
        told = threading.Thread(target=server.handle_exit, args=(signal.SIGTERM, None), daemon=True)
        told.start()
        told.join(5)
        assert not told.is_alive()
    assert served.worker.closing
    assert server.should_exit


def test_signals_at_any_time_leave_who_adds_and_lets_go_at_work() -> None:
    accepted, told = Accepted(9), 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told += 1
        accepted.close()
        accepted.closed = False

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        until_then = time.monotonic() + 0.5
        while time.monotonic() < until_then:
            question = Question(int)
            accepted.add(question)
            accepted.discard(question)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert told > 10


@pytest.mark.parametrize("seed", range(4))
def test_whatever_many_threads_do_each_is_told_its_end_once(seed: int) -> None:
    """Threads post, ask and cancel at random, and one dismisses all in the middle of it."""
    worker = Worker(ScriptedSession, limit=24, watcher=Silent())
    worker.start()
    heard: list[Heard] = []
    refused: list[Exception] = []
    crowd = [
        threading.Thread(target=_play, args=(worker, random.Random(seed * 100 + each), heard, refused))
        for each in range(8)
    ]
    for each in crowd:
        each.start()
    time.sleep(0.2)
    worker.dismiss()
    for each in crowd:
        each.join(20)
        assert not each.is_alive()
    assert worker.stop(5)
    assert worker.accepted == 0
    assert worker.running == 0
    assert all(isinstance(each, Full | Closing) for each in refused)
    assert any(isinstance(each, Closing) for each in refused)
    for each in heard:
        _check_order(each)


def _play(worker: Worker, chance: random.Random, heard: list[Heard], refused: list[Exception]) -> None:
    closed = False
    while not closed:
        try:
            if chance.random() < 0.3:
                asked = worker.ask(lambda: 7)
                if chance.random() < 0.3:
                    asked.cancel()
                try:
                    assert asked.result(10) == 7
                except CancelledError:
                    continue
            else:
                listener = Heard()
                work = worker.post(
                    request("a" * chance.randint(1, 9)), listener, follow=chance.random() < 0.5
                )
                heard.append(listener)
                if chance.random() < 0.3:
                    worker.cancel(work)
                else:
                    listener.wait()
        except (Full, Closing) as exc:
            refused.append(exc)
            closed = isinstance(exc, Closing)


def _check_order(heard: Heard) -> None:
    """Beginning, changes and an end, in this order; nothing of one that was cancelled before it began. One
    that is dismissed in the middle of a step may hear of this step behind its end."""
    told = list(heard.events)
    ends = [each for each in told if isinstance(each, Ended | Failed)]
    assert len(ends) <= 1
    if ends and not (isinstance(ends[0], Failed) and isinstance(ends[0].error, Closing)):
        assert told[-1] is ends[0]
        assert isinstance(told[0], Began)
        assert all(isinstance(each, Changed) for each in told[1:-1])


def test_all_have_left_when_all_have_ended() -> None:
    worker = Worker(ScriptedSession, limit=24, watcher=Silent())
    worker.start()
    try:
        for _ in range(20):
            worker.cancel(worker.post(request("a" * 9), Heard()))
        until(lambda: worker.accepted == worker.running == 0)
    finally:
        assert worker.stop(5)
