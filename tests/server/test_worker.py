"""The model's thread: all that is posted ends in exactly one event, and nobody waits for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from llada_core.errors import GenerationError, ParameterError
from llada_core.faults import Fault
from llada_core.generation.results import GenerationRequest
from llada_core.generation.steps import Ticket
from llada_server.scheduler.events import Began, Changed, Ended, Event, Failed
from llada_server.scheduler.work import Broken, Closing, Full
from llada_server.scheduler.worker import Worker
from tests.server.fakes import ScriptedSession, Silent


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ended = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Ended | Failed):
            self._ended.set()

    def wait(self) -> Event:
        assert self._ended.wait(5), "it never ended"
        return self.events[-1]

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.events if isinstance(each, Changed | Ended))


class Panic(BaseException):
    """As an extension in another language raises it: it is no ``Exception``."""


@dataclass
class RefusingSession(ScriptedSession):
    """Its plugin raises ``raised`` at the request ``refused``."""

    raised: BaseException = field(default_factory=Panic)

    def submit(self, request: GenerationRequest) -> Ticket:
        if request.prompt == "refused":
            raise self.raised
        return super().submit(request)


@contextmanager
def working(session: ScriptedSession, *, limit: int = 16) -> Iterator[Worker]:
    worker = Worker(lambda: session, limit=limit, watcher=Silent())
    worker.start()
    try:
        yield worker
    finally:
        if session.gate is not None:
            session.gate.release(1000)
        worker.stop(5)


def request(script: str) -> GenerationRequest:
    return GenerationRequest(prompt=script)


def until(holds: Callable[[], bool], *, seconds: float = 5) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.001)


def test_an_answer_begins_changes_and_ends() -> None:
    heard = Heard()
    with working(ScriptedSession()) as worker:
        worker.post(request("abc"), heard)
        ended = heard.wait()
    assert isinstance(ended, Ended)
    assert ended.result.text == heard.text == "abc"
    assert [type(event) for event in heard.events] == [Began, Changed, Changed, Ended]
    assert heard.events[0] == Began(prompt_tokens=3)


def test_all_of_it_happens_in_one_thread() -> None:
    session = ScriptedSession()
    with working(session) as worker:
        listeners = [Heard() for _ in range(8)]
        posting = [threading.Thread(target=worker.post, args=(request("ab"), heard)) for heard in listeners]
        for thread in posting:
            thread.start()
        for heard in listeners:
            assert isinstance(heard.wait(), Ended)
    assert session.threads == {"llada-model"}


def test_a_request_that_is_refused_is_told_and_disturbs_nobody() -> None:
    good, bad = Heard(), Heard()
    with working(ScriptedSession()) as worker:
        worker.post(request("abcd"), good)
        worker.post(request(""), bad)
        refused = bad.wait()
        assert isinstance(good.wait(), Ended)
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, ParameterError)
    assert bad.events == [refused]


def test_a_row_that_fails_in_work_fails_alone() -> None:
    good, bad = Heard(), Heard()
    with working(ScriptedSession()) as worker:
        worker.post(request("a!"), bad)
        worker.post(request("abcd"), good)
        failed = bad.wait()
        assert isinstance(good.wait(), Ended)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, GenerationError)
    assert good.text == "abcd"


def test_a_row_whose_text_cannot_be_told_fails_alone() -> None:
    good, bad = Heard(), Heard()
    session = ScriptedSession()
    with working(session) as worker:
        worker.post(request("ab~cdefghi"), bad)
        worker.post(request("abcdefghij"), good)
        failed = bad.wait()
        assert isinstance(good.wait(), Ended)
        assert worker.alive
    assert isinstance(failed, Failed)
    assert "cannot decode ~" in str(failed.error)
    assert session.cancelled == ["ab~cdefghi"]
    assert (good.text, bad.text) == ("abcdefghij", "ab")


def test_who_does_not_follow_is_told_the_beginning_and_the_end() -> None:
    heard = Heard()
    with working(ScriptedSession()) as worker:
        worker.post(request("abc"), heard, follow=False)
        ended = heard.wait()
    assert [type(event) for event in heard.events] == [Began, Ended]
    assert isinstance(ended, Ended)
    assert ended.result.text == "abc"


@pytest.mark.parametrize("raised", [SystemExit(3), Panic("index out of bounds"), KeyboardInterrupt()])
def test_a_plugin_that_raises_anything_ends_its_request_alone(raised: BaseException) -> None:
    good, bad, later = Heard(), Heard(), Heard()
    with working(RefusingSession(raised=raised)) as worker:
        worker.post(request("abcd"), good)
        worker.post(request("refused"), bad)
        failed = bad.wait()
        assert isinstance(good.wait(), Ended)
        worker.post(request("ab"), later)
        assert isinstance(later.wait(), Ended)
        assert worker.alive
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Fault)
    assert failed.error.__cause__ is raised


def test_a_network_that_is_lost_breaks_the_thread_and_takes_no_more(caplog: pytest.LogCaptureFixture) -> None:
    session, heard, why = ScriptedSession(gate=threading.Semaphore(0)), Heard(), [None, "rank 1 is gone"]
    assert session.gate is not None
    worker = Worker(lambda: session, limit=16, watcher=Silent(), lost=lambda: why[0])
    worker.start()
    worker.post(request("abc"), heard)
    session.gate.release()
    until(lambda: session.steps == 1)
    assert worker.alive
    why.pop(0)
    assert not worker.alive
    with pytest.raises(Closing):
        worker.post(request("abc"), Heard())
    session.gate.release(100)
    failed = heard.wait()
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Broken)
    assert worker.stop(5)
    assert "rank 1 is gone; load the model again" in caplog.text


def test_a_cancelled_row_is_gone_after_one_step() -> None:
    session, heard = ScriptedSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    with working(session) as worker:
        work = worker.post(request("a" * 100), heard)
        session.gate.release(3)
        until(lambda: session.steps == 3)
        worker.cancel(work)
        session.gate.release(2)
        ended = heard.wait()
        assert session.steps <= 5
    assert isinstance(ended, Ended)
    assert ended.result.finish_reason == "cancelled"


class Freed(Silent):
    def __init__(self) -> None:
        self.forwards: list[int] = []

    def freed(self, forwards: int) -> None:
        self.forwards.append(forwards)


def test_steps_of_a_cancelled_row_are_counted_from_its_cancellation() -> None:
    session, heard, freed = ScriptedSession(gate=threading.Semaphore(0)), Heard(), Freed()
    assert session.gate is not None
    worker = Worker(lambda: session, limit=2, watcher=freed)
    worker.start()
    try:
        work = worker.post(request("a" * 100), heard)
        session.gate.release(3)
        until(lambda: session.steps == 3)
        worker.cancel(work)  # at or before the fourth step, which takes the row along
        worker.cancel(work)  # once more changes nothing
        session.gate.release(50)
        heard.wait()
    finally:
        session.gate.release(1000)
        worker.stop(5)
    assert freed.forwards in ([0], [1])


def test_a_row_cancelled_before_it_began_never_begins() -> None:
    session, first, late = ScriptedSession(gate=threading.Semaphore(0)), Heard(), Heard()
    with working(session) as worker:
        worker.post(request("ab"), first)
        until(lambda: session.active == 1)
        worker.cancel(worker.post(request("cd"), late))
        assert session.gate is not None
        session.gate.release(10)
        first.wait()
        until(lambda: worker.accepted == 0)
    assert late.events == []


def test_more_than_the_limit_is_refused_until_somebody_has_left() -> None:
    session, heard = ScriptedSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    with working(session, limit=1) as worker:
        worker.post(request("a"), heard)
        with pytest.raises(Full, match="1 requests"):
            worker.post(request("b"), Heard())
        session.gate.release(100)
        heard.wait()
        again = Heard()
        worker.post(request("b"), again)
        assert isinstance(again.wait(), Ended)


def test_a_closed_worker_finishes_what_it_has() -> None:
    session, heard = ScriptedSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    with working(session) as worker:
        worker.post(request("ab"), heard)
        worker.close()
        with pytest.raises(Closing):
            worker.post(request("c"), Heard())
        session.gate.release(100)
        assert isinstance(heard.wait(), Ended)


def test_stopping_cancels_what_is_left() -> None:
    session, heard = ScriptedSession(gate=threading.Semaphore(0)), Heard()
    assert session.gate is not None
    with working(session) as worker:
        worker.post(request("a" * 50), heard)
        until(lambda: session.active == 1)
        session.gate.release(2)
        assert worker.stop(5)
    failed = heard.wait()
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Closing)


def test_a_thread_that_breaks_tells_everybody(caplog: pytest.LogCaptureFixture) -> None:
    def explode() -> None:
        raise RuntimeError("out of luck")

    session, heard = ScriptedSession(breaks=explode), Heard()
    with working(session) as worker:
        worker.post(request("ab"), heard)
        failed = heard.wait()
        until(lambda: not worker.alive)
        with pytest.raises(Closing):
            worker.post(request("c"), Heard())
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Broken)
    assert "out of luck" in caplog.text


def test_an_idle_thread_sleeps() -> None:
    session, turns = ScriptedSession(), list[int]()
    worker = Worker(lambda: session, limit=2, watcher=Silent(), tidy=lambda: turns.append(session.steps))
    worker.start()
    try:
        time.sleep(0.1)
        assert turns == []
        heard = Heard()
        worker.post(request("abc"), heard)
        heard.wait()
        time.sleep(0.1)
        assert turns == [1, 2, 3]
    finally:
        assert worker.stop(5)
