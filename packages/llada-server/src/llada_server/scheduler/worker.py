"""One thread owns the session: requests and cancellations come in by a mailbox, events go out.

Whoever posts is never blocked, and the thread sleeps while there is nothing to do. Rows enter and leave
between two steps. A row that fails is told to its own listener; a thread that breaks, to all.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from llada_core.errors import LladaError
from llada_core.faults import uninterrupted
from llada_core.generation.results import GenerationRequest
from llada_server.scheduler.accepted import Accepted
from llada_server.scheduler.events import Event, Failed
from llada_server.scheduler.mailbox import Mailbox
from llada_server.scheduler.rows import Rows
from llada_server.scheduler.tail import Tail
from llada_server.scheduler.work import (
    STOPPED,
    Broken,
    Closing,
    Full,
    OpenSession,
    Question,
    Watcher,
    Work,
)

__all__ = ["Worker"]

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Worker:
    """The thread, from ``start`` to ``stop``.

    Args:
        open_session: makes the session, in the thread.
        limit: requests and questions, running and waiting together, that are taken at a time.
        watcher: who counts.
        max_wait: seconds that the first request of an idle thread waits for others to begin with it, unless
            there is no room for more, or a question comes.
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
        self._mailbox = Mailbox()
        self._rows = Rows(watcher, self._end)
        self._questions: deque[Question] = deque()  # the thread's own, in the order of their arrival
        self._failure: BaseException | None = None
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
        return self._rows.running

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
        self._mailbox.come(work)
        return work

    def ask(self, question: Callable[[], _Result | Generator[None, None, _Result]]) -> Future[_Result]:
        """What ``question`` returns, asked in the thread between two steps when its turn has come.

        Its turn is behind all who came before and wait for room. A generator is asked part by part, with a
        step between two; cancelled, no further part is. Raises ``Full`` and ``Closing``.
        """
        asked = Question(question)
        self._take(asked)
        asked.answer.add_done_callback(lambda _: self._answered(asked))
        self._mailbox.come(asked)
        return asked.answer

    def _take(self, new: Work | Question) -> None:
        try:
            if self._lost() is not None:
                raise Closing("this server has lost a part of its network; ask another one")
            self._accepted.add(new)
        except (Closing, Full) as exc:
            self._watcher.refused(exc)
            raise

    def cancel(self, work: Work) -> None:
        """Let a request leave before the next step. One that has ended stays as it is."""
        if work.cancelled:
            return
        work.cancelled_at = self._rows.steps
        self._mailbox.leave(work)

    def close(self) -> None:
        """Take no more requests; those that were taken go on. It waits for nobody."""
        self._accepted.close()

    def dismiss(self, error: LladaError | None = None) -> None:
        """Take no more requests, and tell whoever waits that nothing more comes: at once, from any thread,
        whatever the model's is at. Without an ``error`` they are told ``Closing``."""
        gone = error or Closing(STOPPED)
        for each in self._accepted.dismiss():
            if isinstance(each, Question):
                each.refuse(gone)
            else:
                each.listener(Failed(error=gone))

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread after the step in flight, cancelling what is left; whether it has ended in time."""
        self.close()
        self._mailbox.end()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        gone: Broken | None = None
        try:
            with uninterrupted():  # no Ctrl-C is raised in this thread, but what plugins raise
                session = self._open()
                while self._turn(session):
                    pass
                session.close()
                self._rows.step(session)
        except BaseException as exc:
            self.close()
            self._failure = exc
            _log.critical("the model's thread broke; every request in work fails", exc_info=exc)
            gone = Broken("the server failed while the request was in work; ask another one, or later")
        self.dismiss(gone)
        self._leave_nobody(gone)

    def _leave_nobody(self, error: Broken | None) -> None:
        """Let the figures know that nothing is in work any more, nor waits."""
        self._mailbox.read()
        for each in self._mailbox.line:
            if isinstance(each, Work):
                self._never_began(each)
        self._watcher.over(self._rows.clear(), error)

    def _turn(self, session: OpenSession) -> bool:
        """Do what was asked for, then one step; False when the thread is to end."""
        if not (session.active or self._questions or self._mailbox.line):
            self._watcher.idle()
            self._mailbox.wait()
            self._gather(session)
        if not self._let_in(session):
            return False
        self._answer_some()
        began = time.monotonic()
        if session.active:
            self._rows.step(session)
        self._last_step = time.monotonic() - began
        if (reason := self._lost()) is not None:
            raise Broken(f"{reason}; load the model again")
        self._tidy()
        return True

    def _gather(self, session: OpenSession) -> None:
        """Let in who comes within ``max_wait`` from now to begin with who is here, while there is room for
        more and no question waits."""
        until = time.monotonic() + self._max_wait
        while self._let_in(session) and session.active and session.room and not self._questions:
            left = until - time.monotonic()
            if left <= 0 or not self._mailbox.wait(left):
                return

    def _let_in(self, session: OpenSession) -> bool:
        """Let go who leaves, and in who came; False when the thread is to end.

        Of those who came it is one at least, and for as long as the rows' last step took, so that they share
        the time: to make a row of a request may take longer than a step. Where there are no rows, it is all.
        """
        until = time.monotonic() + self._last_step
        self._let_go(session)
        least = 1 if session.active else len(self._mailbox.line)
        while not self._mailbox.ended and self._mailbox.line:
            if least <= 0 and time.monotonic() >= until:
                break
            self._enter(self._mailbox.line.popleft(), session)
            self._let_go(session)  # they do not wait for those who come
            least -= 1
        return not self._mailbox.ended

    def _let_go(self, session: OpenSession) -> None:
        for work in self._mailbox.read():
            if work.ticket is not None:
                session.cancel(work.ticket)
            else:  # it has a place in the line, which another one may have meanwhile
                self._accepted.discard(work)

    def _enter(self, new: Work | Question, session: OpenSession) -> None:
        if isinstance(new, Question):
            self._queue(new)
        elif new.cancelled or new not in self._accepted:
            self._never_began(new)
        else:
            self._rows.submit(new, session)

    def _never_began(self, work: Work) -> None:
        """Let one go who left, or was told that the server ends, before its turn came."""
        self._accepted.discard(work)
        if work.cancelled:
            self._watcher.left()
        else:
            self._watcher.refused(Closing(STOPPED))

    def _queue(self, asked: Question) -> None:
        asked.before = self._rows.waiting()
        self._questions = deque(each for each in (*self._questions, asked) if not each.answer.done())

    def _answer_some(self) -> None:
        """Go on with the questions whose turn has come: by one part at least, and for as long as the rows'
        last step took, so that they share the time."""
        until = time.monotonic() + self._last_step
        while self._questions and not any(map(self._rows.waits, self._questions[0].before)):
            if self._questions[0].go_on():
                self._questions.popleft()
            if time.monotonic() >= until:
                return

    def _answered(self, asked: Question) -> None:
        self._accepted.discard(asked)
        self._watcher.answered(asked.outcome, time.perf_counter() - asked.arrived)

    def _end(self, work: Work, event: Event) -> None:
        if self._accepted.discard(work):  # else it has been dismissed
            work.listener(event)
