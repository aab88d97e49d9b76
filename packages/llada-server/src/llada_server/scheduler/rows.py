"""The requests that are rows of the session: they begin, change and end, and their listeners hear of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from llada_core.errors import TokenizerMissing
from llada_core.faults import fault_of
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.events import Began, Changed, Ended, Event, Failed
from llada_server.scheduler.work import STOPPED, Closing, OpenSession, Watcher, Work

__all__ = ["Rows"]


class Rows:
    """What is told of each step, and to whom. The model's thread's own, but for ``running`` and ``steps``.

    Args:
        watcher: who counts.
        end: tells a listener the last that it hears, unless it has heard that already.

    Attributes:
        steps: how many have ended.
    """

    def __init__(self, watcher: Watcher, end: Callable[[Work, Event], None]) -> None:
        self._watcher, self._end = watcher, end
        self._works: dict[Ticket, Work] = {}
        self.steps = 0

    @property
    def running(self) -> int:
        """Rows that take part in steps, the one that is under way included."""
        tickets = list(self._works)  # at once: the thread may change it meanwhile
        return sum(ticket.admitted is not None and ticket.finished is None for ticket in tickets)

    def waits(self, ticket: Ticket) -> bool:
        """Whether the row waits for room."""
        return ticket.admitted is None and ticket in self._works

    def waiting(self) -> tuple[Ticket, ...]:
        """All that wait for room."""
        return tuple(filter(self.waits, self._works))

    def clear(self) -> list[Ticket]:
        """Have none any more, since there are no more steps: who were left."""
        left = list(self._works)
        self._works.clear()
        return left

    def submit(self, work: Work, session: OpenSession) -> None:
        """Make a row of a request, or tell that it is refused."""
        try:
            work.ticket = ticket = session.submit(work.request)
        except BaseException as exc:  # a request may be wrong in many ways, and a plugin raise anything
            error = fault_of(exc)
            self._watcher.refused(error)
            self._end(work, Failed(error=error))
            return
        self._works[ticket] = work
        if ticket.finished is not None:  # its row could not be made, as the next step tells
            return
        try:
            began = Began(prompt_tokens=ticket.row.prompt_length, cells=ticket.canvas)
        except BaseException as exc:  # rows are their algorithms' code
            self._refuse(work, ticket, exc, session)
        else:
            work.listener(began)

    def step(self, session: OpenSession) -> None:
        """Run a step of all, and tell of it."""
        steps = session.step()
        told = [(step, work := self._works[step.ticket], _final(step, work)) for step in steps]
        self.steps += 1
        self._watcher.stepped([_as_told(step, event) for step, _, event in told])
        for step, work, event in told:
            if event is None:
                self._hand_out(work, step, session)
                continue
            del self._works[step.ticket]
            if step.result is not None and step.result.finish_reason == "cancelled":
                self._note_freed(work)
            if isinstance(event, Ended):
                self._watch_text(work, step, event.result.text)
            self._end(work, event)

    def _refuse(self, work: Work, ticket: Ticket, exc: BaseException, session: OpenSession) -> None:
        """Let a row leave that cannot be told of; its listener hears of it by its last step."""
        work.refusal = fault_of(exc)
        session.cancel(ticket)

    def _hand_out(self, work: Work, step: Step, session: OpenSession) -> None:
        """Tell what changed, where somebody listens to that. A row whose text cannot be told leaves."""
        if not work.follow and work.has_text:
            return
        try:
            text = work.tail.next(step.ticket.text_before(step.settled))
        except TokenizerMissing:  # its result has no text either
            text = ""
        except BaseException as exc:  # a tokenizer may raise anything for ids that it does not know
            self._refuse(work, step.ticket, exc, session)
            return
        self._watch_text(work, step, text)
        if work.follow:
            work.listener(Changed(step=step, text=text))

    def _watch_text(self, work: Work, step: Step, text: str) -> None:
        """Count how long the first text of an answer took."""
        if text and not work.has_text and step.ticket.arrived is not None:
            work.has_text = True
            self._watcher.first_text(step.ticket, time.perf_counter() - step.ticket.arrived)

    def _note_freed(self, work: Work) -> None:
        """Count the forwards of a row whose client had left. The step that tells of its end runs without it,
        and is none of them."""
        if work.cancelled_at is not None:
            self._watcher.freed(self.steps - work.cancelled_at - 1)


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
        return Failed(error=Closing(STOPPED))
    try:
        text = work.tail.rest(step.result.text) if work.follow else ""
        return Ended(step=step, result=step.result, text=text)
    except ValueError as exc:
        return Failed(error=exc)
