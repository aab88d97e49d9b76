"""One thread owns the session: requests and cancellations come in by a mailbox, events go out.

Whoever posts is never blocked, and the thread sleeps while there is nothing to do. Rows enter and leave
between two steps. A row that fails is told to its own listener; a thread that breaks, to all.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from llada_core.errors import LladaError
from llada_core.faults import fault_of, uninterrupted
from llada_core.generation.results import GenerationRequest
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.accepted import Accepted
from llada_server.scheduler.events import Began, Changed, Ended, Event, Failed
from llada_server.scheduler.tail import Tail
from llada_server.scheduler.work import Broken, Closing, OpenSession, Question, Watcher, Work

__all__ = ["Worker"]

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Worker:
    """The thread, from ``start`` to ``stop``.

    Args:
        open_session: makes the session, in the thread.
        limit: requests and questions, running and waiting together, that are taken at a time.
        watcher: who counts.
        max_wait: seconds that the first request of an idle thread waits for others to begin with it.
        tidy: called in the thread after every step and question; it should mostly do nothing.
        lost: why the network can decode no more, None while it can; asked in any thread.
    """

    def __init__(
        self,
        open_session: Callable[[], OpenSession],
        *,
        limit: int,
        watcher: Watcher,
        max_wait: float = 0.0,
        tidy: Callable[[], None] = lambda: None,
        lost: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._open, self._watcher, self._accepted = open_session, watcher, Accepted(limit)
        self._max_wait, self._tidy, self._lost = max_wait, tidy, lost
        self._mailbox: SimpleQueue[Callable[[OpenSession], None] | None] = SimpleQueue()
        self._works: dict[Ticket, Work] = {}  # the thread's own
        self._questions: deque[Question] = deque()  # the thread's own, in the order of their arrival
        self._failure: BaseException | None = None
        self._steps = 0  # that have ended
        self._last_step = 0.0  # seconds
        self._thread = Thread(target=self._run, name="llada-model", daemon=True)

    def start(self) -> None:
        """Begin to take requests."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread works, and on a network that does."""
        return self._thread.is_alive() and self._failure is None and self._lost() is None

    @property
    def closing(self) -> bool:
        """Whether new requests are refused."""
        return self._accepted.closed

    @property
    def running(self) -> int:
        """Requests that take part in steps, the one that is under way included."""
        tickets = list(self._works)  # at once: the thread may change it meanwhile
        return sum(ticket.admitted is not None and ticket.finished is None for ticket in tickets)

    @property
    def accepted(self) -> int:
        """Requests and questions that have not ended."""
        return len(self._accepted)

    def post(
        self, request: GenerationRequest, listener: Callable[[Event], None], *, follow: bool = True
    ) -> Work:
        """Hand a request over. Raises ``Full`` and ``Closing``; everything else is told to the listener.

        Without ``follow`` it is told how the request began and ended, and not what changed between.
        """
        work = Work(request, listener, Tail(request.stop), follow)
        self._take(work)
        self._mailbox.put(partial(self._submit, work))
        return work

    def ask(self, question: Callable[[], _Result | Generator[None, None, _Result]]) -> Future[_Result]:
        """What ``question`` returns, asked in the thread between two steps when its turn has come.

        Its turn is behind all who came before and wait for room. A generator is asked part by part, with a
        step between two; cancelled, no further part is. Raises ``Full`` and ``Closing``.
        """
        asked = Question(question)
        self._take(asked)
        asked.answer.add_done_callback(lambda _: self._answered(asked))
        self._mailbox.put(partial(self._queue, asked))
        return asked.answer

    def _take(self, new: Work | Question) -> None:
        if self._lost() is not None:
            raise Closing("this server has lost a part of its network; ask another one")
        self._accepted.add(new)

    def cancel(self, work: Work) -> None:
        """Let a request leave before the next step. One that has ended stays as it is."""
        if work.cancelled:
            return
        work.cancelled, work.cancelled_at = True, self._steps
        self._mailbox.put(partial(self._cancel, work))

    def close(self) -> None:
        """Take no more requests; those that were taken go on. It waits for nobody."""
        self._accepted.close()

    def dismiss(self, error: LladaError | None = None) -> None:
        """Take no more requests, and tell whoever waits that nothing more comes: at once, from any thread,
        whatever the model's is at. Without an ``error`` they are told ``Closing``."""
        gone = error or Closing("the server stopped before the request was done; ask another one, or later")
        for each in self._accepted.dismiss():
            if isinstance(each, Question):
                each.refuse(gone)
            else:
                each.listener(Failed(error=gone))

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread after the step in flight, cancelling what is left; whether it has ended in time."""
        self.close()
        self._mailbox.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with uninterrupted():  # no Ctrl-C is raised in this thread, but what plugins raise
                session = self._open()
                while self._turn(session):
                    pass
                session.close()
                self._tell(session.step(), session)
        except BaseException as exc:
            self.close()
            self._failure = exc
            _log.critical("the model's thread broke; every request in work fails", exc_info=exc)
            self.dismiss(Broken("the server failed while the request was in work; ask another one, or later"))
        self.dismiss()

    def _turn(self, session: OpenSession) -> bool:
        """Do what was asked for, then one step; False when the thread is to end."""
        for command in self._commands(wait=not (session.active or self._questions)):
            if command is None:
                return False
            command(session)
        self._answer_some()
        began = time.monotonic()
        if session.active:
            self._tell(session.step(), session)
        self._last_step = time.monotonic() - began
        if (reason := self._lost()) is not None:
            raise Broken(f"{reason}; load the model again")
        self._tidy()
        return True

    def _commands(self, *, wait: bool) -> Iterator[Callable[[OpenSession], None] | None]:
        if wait:
            self._watcher.idle()
            yield self._mailbox.get()
            yield from self._soon()
        with suppress(Empty):
            while True:
                yield self._mailbox.get_nowait()

    def _soon(self) -> Iterator[Callable[[OpenSession], None] | None]:
        """What comes within ``max_wait`` from now."""
        until = time.monotonic() + self._max_wait
        with suppress(Empty):
            while (left := until - time.monotonic()) > 0:
                yield self._mailbox.get(timeout=left)

    def _submit(self, work: Work, session: OpenSession) -> None:
        if work.cancelled or work not in self._accepted:  # gone before it began
            self._accepted.discard(work)
            return
        try:
            work.ticket = ticket = session.submit(work.request)
        except BaseException as exc:  # a request may be wrong in many ways, and a plugin raise anything
            self._end(work, Failed(error=fault_of(exc)))
            return
        self._works[ticket] = work
        work.listener(Began(prompt_tokens=ticket.row.prompt_length, cells=ticket.canvas))

    def _queue(self, asked: Question, session: OpenSession) -> None:
        asked.before = tuple(filter(self._waits, self._works))
        self._questions = deque(each for each in (*self._questions, asked) if not each.answer.done())

    def _waits(self, ticket: Ticket) -> bool:
        """Whether the row waits for room."""
        return ticket.admitted is None and ticket in self._works

    def _answer_some(self) -> None:
        """Go on with the questions whose turn has come: by one part at least, and for as long as the rows'
        last step took, so that they share the time."""
        until = time.monotonic() + self._last_step
        while self._questions and not any(map(self._waits, self._questions[0].before)):
            if self._questions[0].go_on():
                self._questions.popleft()
            if time.monotonic() >= until:
                return

    def _answered(self, asked: Question) -> None:
        self._accepted.discard(asked)
        self._watcher.answered(asked.outcome, time.perf_counter() - asked.arrived)

    def _cancel(self, work: Work, session: OpenSession) -> None:
        if work.ticket is not None:
            session.cancel(work.ticket)

    def _tell(self, steps: Iterable[Step], session: OpenSession) -> None:
        told = [(step, work := self._works[step.ticket], _final(step, work)) for step in steps]
        self._steps += 1
        self._watcher.stepped([_as_told(step, event) for step, _, event in told])
        for step, work, event in told:
            if event is None:
                self._hand_out(work, step, session)
                continue
            del self._works[step.ticket]
            if step.result is not None and step.result.finish_reason == "cancelled" and work.cancelled:
                # The step that tells of it runs without the row, and is none of its forwards.
                self._watcher.freed(self._steps - work.cancelled_at - 1)
            if isinstance(event, Ended):
                self._watch_text(work, step, event.result.text)
            self._end(work, event)

    def _hand_out(self, work: Work, step: Step, session: OpenSession) -> None:
        """Tell what changed, where somebody listens to that. A row whose text cannot be told leaves."""
        if not work.follow and work.has_text:
            return
        try:
            text = work.tail.next(step.ticket.text_before(step.settled))
        except BaseException as exc:  # a tokenizer may raise anything for ids that it does not know
            work.refusal = fault_of(exc)
            session.cancel(step.ticket)
            return
        self._watch_text(work, step, text)
        if work.follow:
            work.listener(Changed(step=step, text=text))

    def _watch_text(self, work: Work, step: Step, text: str) -> None:
        """Count how long the first text of an answer took."""
        if text and not work.has_text and step.ticket.arrived is not None:
            work.has_text = True
            self._watcher.first_text(time.perf_counter() - step.ticket.arrived)

    def _end(self, work: Work, event: Event) -> None:
        if self._accepted.discard(work):  # else it has been dismissed
            work.listener(event)


def _as_told(step: Step, event: Event | None) -> Step:
    """The step with the error that its client is told, whatever the session made of the row."""
    if isinstance(event, Failed):
        return replace(step, result=None, error=event.error)
    return step


def _final(step: Step, work: Work) -> Event | None:
    """How the row ended, None where it goes on."""
    if not step.finished:
        return None
    error = work.refusal or step.error
    if error is not None:
        return Failed(error=error)
    assert step.result is not None
    if step.result.finish_reason == "cancelled" and not work.cancelled:  # of a thread that was stopped
        return Failed(error=Closing("the server stopped before the request was done; ask another one"))
    try:
        text = work.tail.rest(step.result.text) if work.follow else ""
        return Ended(step=step, result=step.result, text=text)
    except ValueError as exc:
        return Failed(error=exc)
