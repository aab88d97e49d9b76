"""How those who come, those who run and those who leave share the model's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from llada_core.generation.results import GenerationRequest
from llada_core.generation.steps import Ticket
from llada_server.scheduler.events import Ended
from llada_server.scheduler.tail import Tail
from llada_server.scheduler.work import Closing, Full, Work
from llada_server.scheduler.worker import Worker
from tests.server.fakes import ScriptedSession, Silent
from tests.server.test_worker import Heard, request, until, working

LONG = 30.0  # seconds that no test waits


@dataclass
class SlowSession(ScriptedSession):
    """It makes a row of a request in 5 ms, whether it refuses it or not."""

    submitted: int = 0

    def submit(self, request: GenerationRequest) -> Ticket:
        time.sleep(0.005)
        self.submitted += 1
        return super().submit(request)


@contextmanager
def flood(worker: Worker, script: str) -> Iterator[None]:
    """Eight clients who ask again as soon as they are answered."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            heard = Heard()
            try:
                worker.post(request(script), heard)
            except (Full, Closing):
                return
            heard.wait()

    crowd = [threading.Thread(target=ask) for _ in range(8)]
    for each in crowd:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in crowd:
            each.join(10)


@pytest.mark.parametrize("script", ["", "a"])
def test_rows_go_on_in_a_flood_of_requests_that_end_at_once(script: str) -> None:
    """Each that is refused makes room for the next one at once: the thread had never done with them."""
    session, heard = SlowSession(), Heard()
    with working(session) as worker, flood(worker, script):
        worker.post(request("a" * 100), heard)
        assert isinstance(heard.wait(), Ended)
        until(lambda: session.submitted > 10)  # the flood goes on, and how fast is the machine's
    assert heard.text == "a" * 100


def test_requests_are_taken_in_for_as_long_as_a_step_takes() -> None:
    session = SlowSession(breaks=lambda: time.sleep(0.05))
    with working(session, limit=99) as worker:
        worker.post(request("a" * 99), Heard())
        until(lambda: session.steps > 1)
        crowd = [Heard() for _ in range(30)]
        began = session.steps
        for each in crowd:
            worker.post(request(""), each)
        for each in crowd:
            each.wait()
        assert session.steps - began <= 12  # and not one a step


def test_who_leaves_does_not_wait_for_those_who_come() -> None:
    session, heard = SlowSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    with working(session, limit=99) as worker:
        work = worker.post(request("a" * 99), heard)
        until(lambda: session.active == 1)
        waiting = [worker.post(request("b"), Heard()) for _ in range(60)]
        worker.cancel(work)
        worker.cancel(waiting[-1])
        session.gate.release(2)
        ended = heard.wait()
        assert isinstance(ended, Ended)
        assert ended.result.finish_reason == "cancelled"
        assert session.submitted < 40
        assert waiting[-1] not in worker._accepted
        session.gate.release(1000)


def test_the_end_does_not_wait_for_those_who_come() -> None:
    session = SlowSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    heard = [Heard() for _ in range(90)]
    with working(session, limit=99) as worker:
        worker.post(request("a" * 9), Heard())
        until(lambda: session.active == 1)
        for each in heard:
            worker.post(request("b"), each)
        session.gate.release(3)
        assert worker.stop(5)
        assert session.submitted < 40
        assert worker.accepted == 0
    assert all(isinstance(each.wait().error, Closing) for each in heard)  # type: ignore[union-attr]


def test_all_that_came_to_an_idle_thread_begin_together() -> None:
    session = SlowSession()
    with working(session) as worker:
        held = threading.Event()
        asked = worker.ask(lambda: held.wait(5))
        crowd = [Heard() for _ in range(8)]
        for each in crowd:
            worker.post(request("abc"), each)
        held.set()
        asked.result(5)
        for each in crowd:
            each.wait()
        assert session.steps == 3


@contextmanager
def patient(session: ScriptedSession, *, max_wait: float) -> Iterator[Worker]:
    worker = Worker(lambda: session, limit=16, watcher=Silent(), max_wait=max_wait)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(5)


def test_the_first_request_waits_for_others_to_begin_with_it() -> None:
    session, first, second = ScriptedSession(), Heard(), Heard()
    with patient(session, max_wait=0.4) as worker:
        worker.post(request("abc"), first)
        time.sleep(0.05)
        assert session.steps == 0
        worker.post(request("abc"), second)
        first.wait()
        second.wait()
        assert session.steps == 3


def test_nobody_waits_for_others_when_there_is_no_room_for_them() -> None:
    session, crowd = ScriptedSession(most=2), [Heard(), Heard()]
    with patient(session, max_wait=LONG) as worker:
        for each in crowd:
            worker.post(request("abc"), each)
        for each in crowd:
            assert isinstance(each.wait(), Ended)


def test_a_question_does_not_wait_for_others() -> None:
    heard = Heard()
    with patient(ScriptedSession(), max_wait=LONG) as worker:
        assert worker.ask(lambda: 1).result(5) == 1
        worker.post(request("abc"), heard)
        assert worker.ask(lambda: 2).result(5) == 2
        heard.wait()


def test_a_request_that_is_refused_lets_the_next_one_wait_its_own_time() -> None:
    session, refused, heard = ScriptedSession(), Heard(), Heard()
    with patient(session, max_wait=0.3) as worker:
        worker.post(request(""), refused)
        refused.wait()
        time.sleep(0.2)
        began = time.monotonic()
        worker.post(request("a"), heard)
        heard.wait()
        assert time.monotonic() - began > 0.25


def test_who_is_cancelled_is_never_seen_without_its_time() -> None:
    """The thread read the time between the two: how long ago it was came out as all steps that there were."""
    seen: list[int | None] = []

    class Seen(Work):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name.startswith("cancelled") and self.cancelled:
                seen.append(self.cancelled_at)

    session, heard = ScriptedSession(), Heard()
    with working(session) as worker:
        worker.post(request("abc"), heard)
        heard.wait()
        until(lambda: session.steps == 3)
        worker.cancel(Seen(request("a"), Heard(), Tail()))
    assert seen == [3]
