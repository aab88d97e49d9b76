"""What the model's thread is given to do, and whom it asks and tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from llada_core.errors import LladaError
from llada_core.faults import fault_of
from llada_core.generation.results import GenerationRequest
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.events import Event
from llada_server.scheduler.tail import Tail

__all__ = [
    "STOPPED",
    "Broken",
    "Closing",
    "Full",
    "OpenSession",
    "Outcome",
    "Question",
    "Watcher",
    "Work",
]

STOPPED = "the server stopped before the request was done; ask another one, or later"
"""What those are told who are left when the server stops."""

Outcome: TypeAlias = Literal["answered", "failed", "cancelled"]


class Full(LladaError):
    """So many requests wait already that one more is refused; try again later."""


class Closing(LladaError):
    """The server is about to stop, or its model's thread is gone; ask another one."""


class Broken(LladaError):
    """The model's thread broke while the request was in work; the server takes no more of them."""


class OpenSession(Protocol):
    """What the thread asks of ``llada_core.loading.session.Session``."""

    @property
    def active(self) -> int: ...
    @property
    def room(self) -> int: ...
    def submit(self, request: GenerationRequest) -> Ticket: ...
    def step(self) -> list[Step]: ...
    def cancel(self, ticket: Ticket) -> None: ...
    def close(self) -> None: ...


class Watcher(Protocol):
    """Who counts what happens; called in the model's thread, ``answered`` and ``refused`` in any.

    Each request is told of once: by its last step, or as ``refused`` or ``left`` before it had one, or, where
    the thread broke, as one of those that are ``over``.
    """

    def stepped(self, steps: list[Step]) -> None: ...
    def idle(self) -> None: ...
    def first_text(self, ticket: Ticket, seconds: float) -> None: ...
    def freed(self, forwards: int) -> None: ...
    def answered(self, outcome: Outcome, seconds: float) -> None: ...
    def refused(self, error: Exception) -> None: ...
    def left(self) -> None: ...
    def over(self, lost: list[Ticket], error: Exception | None) -> None: ...


@dataclass(slots=True, eq=False)
class Work:
    """One request on its way; ``listener`` must not wait, and is called in the model's thread, or in the one
    that dismisses it. Without ``follow``, it is not told what changes."""

    request: GenerationRequest
    listener: Callable[[Event], None]
    tail: Tail
    follow: bool = True
    ticket: Ticket | None = None
    cancelled_at: int | None = None  # steps that had ended when it was cancelled
    refusal: Exception | None = None
    has_text: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.cancelled_at is not None


@dataclass(slots=True, eq=False)
class Question:
    """What is asked of the model between two steps, once the rows ``before`` it have been admitted.

    Where ``ask`` returns a generator, its parts are between the same number of steps, and its value is the
    answer. The answer may be cancelled at any time.
    """

    ask: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.perf_counter)
    before: tuple[Ticket, ...] = ()
    parts: Generator[None, None, Any] | None = None

    def go_on(self) -> bool:
        """Do the next part, unless the answer has been cancelled or refused; whether this was the last."""
        if self.answer.done():
            return True
        try:
            if self.parts is None:
                made = self.ask()
                if not isinstance(made, Generator):
                    return self._set(made)
                self.parts = made
            next(self.parts)
        except StopIteration as end:
            return self._set(end.value)
        except BaseException as exc:  # a question may be wrong in many ways, and a plugin raise anything
            self.refuse(fault_of(exc))
            return True
        return False

    def _set(self, told: Any) -> bool:
        with suppress(InvalidStateError):  # whoever waited has left, or was told that the server ends
            self.answer.set_result(told)
        return True

    def refuse(self, error: Exception) -> None:
        """Set the error as the answer, unless there is one."""
        with suppress(InvalidStateError):
            self.answer.set_exception(error)

    @property
    def outcome(self) -> Outcome:
        """How it ended; to be asked once it has."""
        if self.answer.cancelled():
            return "cancelled"
        return "answered" if self.answer.exception() is None else "failed"
