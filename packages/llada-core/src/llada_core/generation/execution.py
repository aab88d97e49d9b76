"""Requests in work on one model: a queue in front of open loops, and what becomes of every row.

Rows of all algorithms with one ``loop_class`` share a loop, whatever their parameters. That of opaque
algorithms runs them as calls.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from llada_core.errors import ContractError, GenerationError, LladaError, PromptError, UsageError
from llada_core.faults import fault_of
from llada_core.generation.calls import Calls
from llada_core.generation.emitted import emitted
from llada_core.generation.endings import result_of
from llada_core.generation.executions import Executions
from llada_core.generation.jobs import Job, row_of
from llada_core.generation.model import Model
from llada_core.generation.outcomes import located
from llada_core.generation.results import FinishReason, GenerationResult
from llada_core.generation.rows import check_row
from llada_core.generation.steps import Row, Step, StepLoop, Ticket
from llada_core.generation.watches import Watch
from llada_core.values import shown

__all__ = ["ROWS", "Execution", "finished_tickets", "run", "run_to_end"]

ROWS = 32
"""Rows in flight at a time where nobody says how many."""


@dataclass(slots=True, kw_only=True)
class _Lane:
    """One loop, who waits for it, and who is in it. ``open`` makes the loop, or another in its place."""

    open: Callable[[], StepLoop]
    loop: StepLoop
    waiting: deque[Ticket] = field(default_factory=deque)
    running: list[Ticket] = field(default_factory=list)


class Execution:
    """Rows of any algorithms on ``model``: ``rows`` of them in flight, with ``columns`` cached columns.

    First come, first served, whatever loop is whose; what has no room waits, without bound, and with it all
    that came later. Belongs to one thread.
    """

    def __init__(self, model: Model, *, rows: int = ROWS, columns: int | None = None) -> None:
        self._model, self._rows, self._columns = model, rows, columns
        # Tickets may outlive the network, and who could ask it.
        self._reader = replace(model, network=None, executions=Executions())
        self._lanes: dict[Hashable, _Lane] = {}
        self._jobs: dict[Ticket, Job] = {}
        self._watches: dict[Ticket, Watch] = {}
        self._told: list[Step] = []  # final steps of rows that never entered a loop
        model.executions.add(self)

    @property
    def active(self) -> int:
        """Rows whose final step has not been handed out."""
        return len(self._jobs) + len(self._told)

    @property
    def room(self) -> int:
        """How many rows would be admitted now, as far as their number goes."""
        return max(self._rows - len(self._jobs), 0)

    @property
    def in_work(self) -> int:
        """Rows that wait or run."""
        return len(self._jobs)

    def rest(self) -> None:
        """Let go of the loops and what they have cached; a row that is submitted later gets another one."""
        assert not self.in_work
        self._lanes.clear()

    def abandon(self) -> None:
        """Forget rows and loops without a word, and without asking anybody: who submitted them is gone."""
        for kept in (self._jobs, self._watches, self._lanes, self._told):
            kept.clear()

    def submit(self, job: Job) -> Ticket:
        """Queue the job. Raises ``PromptError`` and ``ParameterError`` for what can never be decoded, and
        ``ModelNotReady`` where the model cannot be asked now.

        What else the algorithm's code raises here is the row's own failure: its ticket has ended.
        """
        with self._model.executions.asking():  # until it is in work, whatever other threads do
            return self._submitted(job)

    def _submitted(self, job: Job) -> Ticket:
        try:
            lane, ticket = self._lane(job), self._ticket(self._row(job), job)
            reason = lane.loop.refusal(ticket.row)
        except LladaError as exc:
            if not isinstance(exc, GenerationError):
                raise
            return self._failed(job, exc)
        except BaseException as exc:  # a rule, a policy or a loop may raise anything where it is made
            return self._failed(job, fault_of(exc))
        if reason is not None:
            raise PromptError(f"{job.algorithm.name}: {reason}")
        lane.waiting.append(self._taken(ticket, job))
        return ticket

    def _failed(self, job: Job, error: Exception) -> Ticket:
        """The ticket of a row that could not even be made."""
        made = Calls(job.algorithm).sequence(self._model.network, job.prompt_ids, job.parameters)
        ticket = self._taken(self._ticket(made, job), job)
        self._told.append(self._ended(Step.last(ticket, error=error)))
        return ticket

    def _ticket(self, row: Row, job: Job) -> Ticket:
        ticket = row.ticket = Ticket(row, index=job.index, model=self._reader, cloze=job.cloze)
        ticket.algorithm, ticket.columns, ticket.gen_length = job.algorithm.name, row.columns, row.gen_length
        return ticket

    def _taken(self, ticket: Ticket, job: Job) -> Ticket:
        ticket.arrived = time.perf_counter()
        self._jobs[ticket] = job
        watch = Watch.of(job)
        if watch is not None:
            self._watches[ticket] = watch
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Let the row leave: the next ``step`` holds its final one. A row that has ended stays as it is.

        Raises ``UsageError`` for a ticket of somebody else, and for what is none.
        """
        if not isinstance(ticket, Ticket):
            raise UsageError(f"{shown(ticket)} is no ticket; give what submit returned")
        if ticket not in self._jobs and ticket.finished is None:
            raise UsageError(f"{ticket!r} was not submitted here; cancel it where it was")
        for lane in list(self._lanes.values()):
            if ticket in lane.running:
                self._leave(ticket, lane)
            elif ticket in lane.waiting:
                lane.waiting.remove(ticket)
                self._told.append(self._ended(Step.last(ticket), reason="cancelled"))

    def step(self) -> list[Step]:
        """Admit whom there is room for and run one step of every loop: what changed in whose answer.

        No row's fault is raised: it is the ``error`` of the row's final step.
        """
        self._admit()
        for lane in list(self._lanes.values()):
            if lane.running:
                steps = self._stepped(lane)
                full = [step.ticket for step in steps if self._is_full(step)]
                self._told += [self._ended(step) if step.finished else step for step in steps]
                for ticket in full:
                    self._leave(ticket, lane)
        told, self._told = self._told, []
        return told

    def _is_full(self, step: Step) -> bool:
        """Whether the row is to end now, by a text that ends it."""
        watch = self._watches.get(step.ticket)
        return watch is not None and watch.see(step)

    def _leave(self, ticket: Ticket, lane: _Lane) -> None:
        try:
            lane.loop.cancel(ticket.row)
        except BaseException as exc:  # a loop may raise anything, and nobody knows then what it still holds
            self._told += map(self._ended, self._broken(lane, fault_of(exc)))

    def close(self) -> None:
        """Cancel every row. All have ended when this returns; one more ``step`` tells of them."""
        for ticket in list(self._jobs):
            self.cancel(ticket)
        self._told = self.step()
        for ticket in list(self._jobs):  # of a loop that did not keep to it
            self._told.append(self._ended(Step.last(ticket), reason="cancelled"))

    def _lane(self, job: Job) -> _Lane:
        key, network = job.runner.loop_class, self._model.network
        if key not in self._lanes:
            open_loop = partial(job.runner.open_loop, network, rows=self._rows, columns=self._columns)
            self._lanes[key] = _Lane(open=open_loop, loop=open_loop())
        return self._lanes[key]

    def _row(self, job: Job) -> Row:
        row = row_of(job, self._model.network)
        if row.ticket in self._jobs:
            raise ContractError("its sequence returned a row that is in work already; make a new one")
        return row

    def _admit(self) -> None:
        """Let those in who came first, and for whom there is room."""
        while len(self._running()) < self._rows:
            ready = [lane for lane in self._lanes.values() if lane.waiting]
            if not ready:
                return
            lane = min(ready, key=lambda lane: lane.waiting[0].arrived or 0.0)
            if not self._enters(lane, lane.waiting[0]):
                return  # who is behind it waits too, whatever loop is its own

    def _running(self) -> list[Ticket]:
        return [ticket for lane in self._lanes.values() for ticket in lane.running]

    def _has_columns(self, ticket: Ticket) -> bool:
        """Whether the rows of all loops and this one keep to the budget; a loop knows only its own rows."""
        running = self._running()
        if self._columns is None or not ticket.columns or not running:
            return True
        return sum(each.columns for each in running) + ticket.columns <= self._columns

    def _enters(self, lane: _Lane, ticket: Ticket) -> bool:
        """Whether the first who waits has left the queue, for the loop or, where that fails, for good."""
        try:
            if self._has_columns(ticket) and lane.loop.admit(ticket.row):
                lane.running.append(ticket)
                ticket.admitted = time.perf_counter()
            elif self._running():
                return False  # who leaves may make room, in another loop too
            else:  # alone, and still no room: the memory that it was promised is not there
                raise PromptError(lane.loop.refusal(ticket.row) or "there is no memory for it; shorten it")
        except BaseException as exc:  # a loop may raise anything; the row that it raised for ends
            self._told.append(self._ended(Step.last(ticket, error=fault_of(exc))))
        lane.waiting.popleft()
        return True

    def _stepped(self, lane: _Lane) -> list[Step]:
        """The loop's steps; where it breaks, the final steps of its rows, and another loop takes over."""
        try:
            return emitted(lane.loop, lane.running)
        except BaseException as exc:  # not a row's fault: those are in the steps
            return self._broken(lane, fault_of(exc))

    def _broken(self, lane: _Lane, fault: Exception) -> list[Step]:
        """The final steps of the rows of a loop that broke; another one takes over."""
        ended = [Step.last(ticket, error=fault) for ticket in lane.running]
        try:
            lane.loop = lane.open()
        except BaseException as exc:  # then those who wait have no loop either
            fault = fault_of(exc)
            ended += [Step.last(ticket, error=fault) for ticket in lane.waiting]
            lane.waiting.clear()
            del self._lanes[next(key for key, each in self._lanes.items() if each is lane)]
        return ended

    def _ended(self, step: Step, *, reason: FinishReason | None = None) -> Step:
        """The final step with what the row's caller is told: its result, or its error.

        ``reason`` is that of a row which never entered its loop.
        """
        ticket = step.ticket
        job, watch = self._jobs.pop(ticket), self._watches.pop(ticket, None)
        for lane in self._lanes.values():
            if ticket in lane.running:
                lane.running.remove(ticket)
        ticket.finished = time.perf_counter()
        ticket.admitted = ticket.finished if ticket.admitted is None else ticket.admitted
        error = step.error or (None if watch is None else watch.fault)
        if error is None:
            try:
                check_row(ticket.row)
                ticket.gen_length = ticket.row.gen_length
                ticket.result = result_of(self._model, job, ticket, watch=watch, reason=reason)
            except BaseException as exc:  # a tokenizer may raise anything for ids that it does not know
                ticket.error = located(fault_of(exc), job)
        else:
            ticket.error = located(error, job)
        return replace(step, result=ticket.result, error=ticket.error)


def run_to_end(model: Model, jobs: Sequence[Job]) -> list[GenerationResult]:
    """The results of ``jobs``, in their order. Raises as ``finished_tickets``."""
    return [ticket.result for ticket in finished_tickets(model, jobs) if ticket.result is not None]


def finished_tickets(model: Model, jobs: Sequence[Job]) -> list[Ticket]:
    """The tickets of ``jobs``, in their order, once all have ended.

    Raises the ``GenerationError`` of the first row that failed; its ``results`` hold those of the others.
    """
    execution = Execution(model)
    try:
        tickets = [execution.submit(job) for job in jobs]
        while execution.active:
            execution.step()
    finally:
        execution.abandon()  # where it was interrupted: a traceback may keep it for long
    _raise_first(tickets)
    return tickets


def run(model: Model, jobs: Iterable[Job]) -> Generator[Step, None, None]:
    """The steps of all jobs as they happen, each job's last with its result; closing it stops the work.

    Raises as ``finished_tickets``, when all have ended.
    """
    execution = Execution(model)
    return _watched(execution, [execution.submit(job) for job in jobs])


def _watched(execution: Execution, tickets: Sequence[Ticket]) -> Generator[Step, None, None]:
    try:
        while execution.active:
            yield from execution.step()
    finally:
        execution.abandon()
    _raise_first(tickets)


def _raise_first(tickets: Sequence[Ticket]) -> None:
    """Raise the error of the first row that failed, if any did."""
    errors = [ticket.error for ticket in tickets if ticket.error is not None]
    if errors:
        first = errors[0]
        assert isinstance(first, GenerationError), "every error of a row is located"
        first.results = tuple(ticket.result for ticket in tickets)
        if len(errors) > 1:
            first.add_note(f"{len(errors)} of {len(tickets)} rows failed; this is the first one's error")
        raise first
