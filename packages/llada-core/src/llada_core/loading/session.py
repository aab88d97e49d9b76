"""The open loop for programs: submit requests at any time, step, and be told what changed in whose answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType

from llada_core.errors import UsageError
from llada_core.generation.execution import ROWS, Execution
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.results import GenerationRequest, check_request
from llada_core.generation.steps import Step, Ticket

__all__ = ["Session", "check_room"]


def check_room(rows: object, columns: object) -> None:
    """Refuse what counts no rows or no cached columns. Raises ``UsageError``."""
    for name, value in (("rows", rows), ("columns", 1 if columns is None else columns)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{name}={value!r} is no count of {name}; give an integer from 1 on")


class Session:
    """Requests in work on a loaded model, of any algorithms, coming and going; made by
    ``LoadedModel.session``.

    ::

        with lm.session(rows=16) as session:
            ticket = session.submit(GenerationRequest(prompt="Hello"))
            while ticket.result is None:
                for step in session.step():
                    print(step.ticket.index, step.positions, step.tokens)

    Every ticket gets exactly one final step. Leaving the context cancels what is left: the tickets then hold
    what there was, and one more ``step`` hands out the final steps. A session belongs to one thread.

    Args:
        model: what runs them.
        prepare: makes a checked job of a request and its number.
        rows: how many are in flight at a time; the others wait.
        columns: cached columns (one column: the keys and values of one token in all layers) of all rows in
            flight; None is what the device's memory holds when a loop is opened, and at most ``rows`` times
            the model's limit.
    """

    def __init__(
        self,
        model: Model,
        prepare: Callable[[GenerationRequest, int], Job],
        *,
        rows: int = ROWS,
        columns: int | None = None,
    ) -> None:
        check_room(rows, columns)
        self._execution = Execution(model, rows=rows, columns=columns)
        self._prepare, self._submitted, self._closed = prepare, 0, False

    @property
    def room(self) -> int:
        """How many requests would be admitted now, as far as their number goes."""
        return 0 if self._closed else self._execution.room

    @property
    def active(self) -> int:
        """Requests whose final step has not been handed out."""
        return self._execution.active

    def submit(self, request: GenerationRequest) -> Ticket:
        """Queue a request, without bound; others may be running.

        Raises ``ParameterError``, ``PromptError``, ``TokenizerMissing``, ``UnknownAlgorithm`` and
        ``AlgorithmUnavailable`` at once for what can never run here, and ``UsageError`` once the session is
        closed.
        """
        if self._closed:
            raise UsageError("this session is closed; open another one with LoadedModel.session")
        ticket = self._execution.submit(self._prepare(check_request(request), self._submitted))
        self._submitted += 1
        return ticket

    def step(self) -> list[Step]:
        """Run one step of everything in flight: what it changed in which answer, and who ended how.

        A row that fails ends with the ``error`` of its final step; nothing is raised for it.
        """
        return self._execution.step()

    def cancel(self, ticket: Ticket) -> None:
        """Let a row leave: its final step is among those of the next ``step``, its result what it had."""
        self._execution.cancel(ticket)

    def __iter__(self) -> Iterator[Step]:
        """The steps until nothing is left to do; requests may be submitted meanwhile."""
        while self.active:
            yield from self.step()

    def close(self) -> None:
        """Cancel what is left; one more ``step`` tells of it. Later requests are refused."""
        if not self._closed:
            self._closed = True
            self._execution.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
