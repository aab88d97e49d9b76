"""Questions to the model's thread, between the steps of its rows; and who is told that it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import partial
from itertools import pairwise

import pytest

from llada_server.scheduler.events import Began, Changed, Ended, Failed
from llada_server.scheduler.work import Closing, Full, Outcome
from llada_server.scheduler.worker import Worker
from tests.server.fakes import ScriptedSession, Silent
from tests.server.test_worker import Heard, Panic, request, until, working


def throw(raised: BaseException) -> None:
    raise raised


@pytest.mark.parametrize(
    "raised", [ValueError("odd"), SystemExit(3), Panic("index out of bounds"), KeyboardInterrupt()]
)
def test_a_question_that_raises_anything_is_answered_with_it(raised: BaseException) -> None:
    heard = Heard()
    with working(ScriptedSession()) as worker:
        told = worker.ask(partial(throw, raised)).exception(5)
        worker.post(request("ab"), heard)
        assert isinstance(heard.wait(), Ended)
    assert isinstance(told, Exception)
    assert raised in (told, told.__cause__)


def test_a_question_waits_its_turn_behind_those_who_wait_for_room() -> None:
    session, first = ScriptedSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    order: list[str] = []
    with working(session) as worker:
        worker.post(request("abc"), first)
        asked = worker.ask(lambda: order.append(f"asked after {session.steps} steps"))
        until(lambda: session.active == 1)
        session.gate.release(1)  # the row is admitted in it
        asked.result(5)
        session.gate.release(10)
        first.wait()
    assert order == ["asked after 1 steps"]


def test_rows_go_on_between_two_questions_that_take_longer_than_a_step() -> None:
    session, heard, steps = ScriptedSession(), Heard(), list[int]()

    def question() -> None:
        steps.append(session.steps)
        time.sleep(0.02)

    with working(session) as worker:
        worker.post(request("a" * 500), heard)
        asked = [worker.ask(question) for _ in range(8)]
        for each in asked:
            each.result(5)
        heard.wait()
    assert all(after > before for before, after in pairwise(steps))


def test_questions_take_as_long_as_a_step_between_two() -> None:
    steps = list[int]()
    session = ScriptedSession(breaks=partial(time.sleep, 0.05))
    with working(session) as worker:
        worker.post(request("a" * 30), Heard())
        until(lambda: session.steps > 1)
        for each in [worker.ask(lambda: steps.append(session.steps)) for _ in range(12)]:
            each.result(5)
    assert steps[-1] - steps[0] < 6  # and not 11


class Answered(Silent):
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def answered(self, outcome: Outcome, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)


def test_a_question_has_a_place_in_the_queue_until_it_is_answered_or_given_up() -> None:
    session, told = ScriptedSession(gate=threading.Semaphore(0)), Answered()
    assert session.gate is not None
    worker = Worker(lambda: session, limit=2, watcher=told)
    worker.start()
    try:
        worker.post(request("ab"), Heard())
        asked = worker.ask(lambda: 1)
        with pytest.raises(Full, match="2 requests"):
            worker.ask(lambda: 2)
        with pytest.raises(Full, match="2 requests"):
            worker.post(request("b"), Heard())
        assert asked.cancel()
        again = worker.ask(lambda: 3)
        session.gate.release(100)
        assert again.result(5) == 3
        with pytest.raises(ZeroDivisionError):
            worker.ask(lambda: 1 // 0).result(5)
        until(lambda: worker.accepted == 0)
    finally:
        session.gate.release(1000)
        worker.stop(5)
    assert told.outcomes == ["cancelled", "answered", "failed"]


def test_who_is_dismissed_is_told_once_and_at_once() -> None:
    held, session = threading.Event(), ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    heard, waiting = Heard(), Heard()
    with working(session) as worker:
        worker.post(request("ab"), heard)
        until(lambda: session.active == 1)
        worker.post(request("cd"), waiting)
        asked = worker.ask(held.set)
        worker.dismiss()  # while the thread is in a step
        assert isinstance(asked.exception(5), Closing)
        for each in (heard, waiting):
            assert isinstance(each.wait(), Failed)
        assert worker.accepted == 0
        with pytest.raises(Closing):
            worker.post(request("x"), Heard())
        session.gate.release(100)
        until(lambda: session.active == 0)
    assert [type(event) for event in heard.events if not isinstance(event, Began | Changed)] == [Failed]
    assert not held.is_set()


def parts(count: int, told: list[int], session: ScriptedSession) -> Generator[None, None, int]:
    for _ in range(count):
        told.append(session.steps)
        time.sleep(0.02)  # longer than a step
        yield
    return count


def test_a_question_in_parts_lets_rows_go_on_between_two() -> None:
    session, heard, told = ScriptedSession(), Heard(), list[int]()
    with working(session) as worker:
        worker.post(request("a" * 500), heard)
        assert worker.ask(lambda: parts(8, told, session)).result(5) == 8
        heard.wait()
    assert len(told) == 8
    assert all(after == before + 1 for before, after in pairwise(told))


def test_a_question_that_is_cancelled_between_two_parts_ends_there() -> None:
    session, told = ScriptedSession(gate=threading.Semaphore(0)), list[int]()
    assert session.gate is not None
    with working(session) as worker:
        worker.post(request("a" * 50), Heard())
        session.gate.release(1)
        asked = worker.ask(lambda: parts(40, told, session))
        until(lambda: session.gate is not None and (session.gate.release() or len(told) >= 3))
        assert asked.cancel()
        until(lambda: worker.accepted == 1)
        session.gate.release(1000)
        until(lambda: worker.accepted == 0)
    assert len(told) < 40


def test_a_fault_in_a_later_part_is_the_answer() -> None:
    def failing() -> Generator[None, None, int]:
        yield
        raise ValueError("odd")

    with working(ScriptedSession()) as worker:
        assert isinstance(worker.ask(failing).exception(5), ValueError)
        assert worker.ask(lambda: 3).result(5) == 3
