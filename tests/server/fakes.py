"""A session whose rows advance by the script: what the model's thread does is seen without a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from llada_core.errors import GenerationError, ModelError, ParameterError
from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.work import Outcome

__all__ = ["ScriptedSession", "Silent"]


class Silent:
    """Counts nothing."""

    def stepped(self, steps: list[Step]) -> None:
        pass

    def idle(self) -> None:
        pass

    def first_text(self, ticket: Ticket, seconds: float) -> None:
        pass

    def freed(self, forwards: int) -> None:
        pass

    def answered(self, outcome: Outcome, seconds: float) -> None:
        pass

    def refused(self, error: Exception) -> None:
        pass

    def left(self) -> None:
        pass

    def over(self, lost: list[Ticket], error: Exception | None) -> None:
        pass


class _Ticket(Ticket):
    """A ticket whose text is what has been written so far."""

    written = ""

    @property
    def text(self) -> str:
        return self.written

    def text_before(self, offset: int) -> str:
        if "~" in self.written[:offset]:
            raise ModelError("the tokenizer cannot decode ~; take another", path="scripted")
        return self.written[:offset]

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(range(len(self.written)))


@dataclass
class ScriptedSession:
    """Each request's prompt is its script: a character a step; ``!`` fails in work, ``""`` is refused, and
    ``~`` is what no tokenizer decodes.

    ``gate``, where given, is waited for before each step. ``most`` rows have room.
    """

    gate: threading.Semaphore | None = None
    breaks: Callable[[], None] = lambda: None
    active: int = 0
    threads: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    steps: int = 0
    most: int = 1000
    rows: dict[_Ticket, str] = field(default_factory=dict)
    leaving: set[_Ticket] = field(default_factory=set)

    @property
    def room(self) -> int:
        return max(self.most - self.active, 0)

    def submit(self, request: GenerationRequest) -> Ticket:
        self.threads.add(threading.current_thread().name)
        script = str(request.prompt)
        if not script:
            raise ParameterError("threshold=9 is out of range; give 0 to 1", parameter="threshold", value=9)
        row: Any = SimpleNamespace(
            prompt_length=3, gen_length=len(script), mask_id=None, canvas=[], columns=3 + len(script), nfe=0
        )
        ticket = _Ticket(row)
        ticket.algorithm, ticket.columns, ticket.gen_length = "scripted", row.columns, row.gen_length
        ticket.arrived = time.perf_counter()
        self.rows[ticket] = script
        self.active += 1
        return ticket

    def step(self) -> list[Step]:
        for ticket in self.rows.keys() - self.leaving:
            ticket.admitted = ticket.admitted or time.perf_counter()
        if self.gate is not None:
            self.gate.acquire()
        self.breaks()
        self.steps += 1
        return [self._advance(ticket, script) for ticket, script in list(self.rows.items())]

    def cancel(self, ticket: Ticket) -> None:
        assert isinstance(ticket, _Ticket)
        if ticket in self.rows:
            self.leaving.add(ticket)
            self.cancelled.append(self.rows[ticket])

    def close(self) -> None:
        for ticket in list(self.rows):
            self.cancel(ticket)

    def _advance(self, ticket: _Ticket, script: str) -> Step:
        if ticket in self.leaving:
            return self._last(ticket, result=self._result(ticket, "cancelled"))
        at = len(ticket.written)
        if script[at] == "!":
            return self._last(ticket, error=GenerationError("scripted failed in row 0: boom; mend that"))
        ticket.written += script[at]
        ticket.row.nfe += 1
        if len(ticket.written) == len(script):
            return self._last(ticket, positions=(at,), result=self._result(ticket, "stop"))
        return _step(ticket, positions=(at,))

    def _last(self, ticket: _Ticket, positions: tuple[int, ...] = (), **ended: Any) -> Step:
        del self.rows[ticket]
        self.active -= 1
        return _step(ticket, positions=positions, finished=True, **ended)

    def _result(self, ticket: _Ticket, reason: Any) -> GenerationResult:
        now = time.perf_counter()
        assert ticket.arrived is not None
        return GenerationResult(
            text=ticket.written,
            token_ids=ticket.token_ids,
            finish_reason=reason,
            prompt_tokens=3,
            nfe=ticket.row.nfe,
            arrived=ticket.arrived,
            admitted=ticket.admitted or now,
            finished=now,
            engine="scripted",
            algorithm="scripted",
            parameters={},
        )


def _step(ticket: _Ticket, *, positions: tuple[int, ...], **ended: Any) -> Step:
    return Step(
        ticket=ticket,
        block=0,
        positions=positions,
        tokens=positions,
        confidence=tuple(1.0 for _ in positions),
        nfe=ticket.row.nfe,
        settled=len(ticket.written),
        **ended,
    )
