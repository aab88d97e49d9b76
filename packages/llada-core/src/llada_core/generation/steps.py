"""The open loop, as core and a runtime agree on it: rows come and go, a step is one forward of all of them.

A loop knows neither text nor requests: what it emits are deltas, and the one final step of every row, which
name the row by its ticket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, runtime_checkable

from llada_core.errors import ContractError
from llada_core.generation.results import GenerationResult, Likeliest
from llada_core.generation.rows import fact_of
from llada_core.generation.tickets import Row, Ticket

__all__ = ["Row", "Step", "StepLoop", "SupportsSteps", "Ticket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one forward changed in one answer: no more than that. What stands, its ticket tells.

    One change is not told position by position: where an end-of-sequence token ends the row, all behind it
    becomes that token. All offsets are those of the answer as it stands after the step.

    Attributes:
        ticket: whose answer it is.
        block: index of the block in work.
        positions, tokens, confidence: offsets into the answer that received a token, ascending, with the
            token and its probability, which is 1 where the decoder has ended the answer before them;
            ``confidence`` is empty where the algorithm does not tell.
        alternatives: of each position the likeliest tokens, with their probabilities, likeliest first; as
            many as the row's ``alternatives``, and empty where that is 0.
        log_probabilities, drawn_log_probabilities: of each position those of a `Trajectory`; empty where the
            row is not ``traced``.
        nfe: forwards that the row has taken part in so far.
        settled: how many leading positions of the answer no later step can change.
        finished: whether this is the row's last step; each row has exactly one.
        revoked: offsets whose token was taken back, ascending: they hold the mask again, or, where they are
            among the ``positions``, another token.
        inserted: pairs of an offset and a count, one after the other: so many masks were put in there, before
            anything was taken back or written, and what stood there and behind has moved back. What came to
            stand behind ``gen_length`` positions is gone.
        gen_length: positions of the answer from now on; None where the loop does not tell, and nothing is
            inserted.
        result: of a finished row, as a session gives it; a loop leaves it out, and a row that failed has
            none.
        error: why the row failed.
    """

    ticket: Ticket
    block: int
    positions: tuple[int, ...]
    tokens: tuple[int, ...]
    confidence: tuple[float, ...]
    nfe: int
    settled: int
    finished: bool = False
    revoked: tuple[int, ...] = ()
    inserted: tuple[tuple[int, int], ...] = ()
    gen_length: int | None = None
    alternatives: tuple[Likeliest, ...] = ()
    log_probabilities: tuple[float, ...] = ()
    drawn_log_probabilities: tuple[float, ...] = ()
    result: GenerationResult | None = None
    error: Exception | None = None

    @classmethod
    def last(cls, ticket: Ticket, *, block: int = 0, error: Exception | None = None) -> Step:
        """The final step of a row that ends without a forward: it was cancelled, or failed.

        A row that does not tell its ``nfe`` or its answer has failed, and they are 0.
        """
        try:
            nfe, settled = fact_of(ticket, "nfe"), len(fact_of(ticket, "token_ids"))
        except ContractError as exc:
            nfe, settled, error = 0, 0, error or exc
        return cls(
            ticket=ticket,
            block=block,
            positions=(),
            tokens=(),
            confidence=(),
            nfe=nfe,
            settled=settled,
            finished=True,
            error=error,
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name in _FORMER:
            raise AttributeError(f"Step.{name} is step.{_FORMER[name]} now; write that")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


_FORMER = {
    "index": "ticket.index",
    "canvas": "ticket.canvas",
    "text": "ticket.text",
    "sequence": "ticket.row",
}


class StepLoop(ABC):
    """Rows in flight on one model. A row may enter and leave between any two steps.

    Every admitted row ends in exactly one final step, and a fault of one row ends that row alone. A loop
    belongs to one thread.
    """

    @property
    @abstractmethod
    def room(self) -> int:
        """How many more rows could be admitted now, as far as their number goes."""

    @property
    @abstractmethod
    def active(self) -> int:
        """Rows whose final step has not been emitted."""

    @abstractmethod
    def refusal(self, row: Row) -> str | None:
        """Why the row could not be admitted even if it were alone, ending with the remedy; None where it
        could."""

    @abstractmethod
    def admit(self, row: Row) -> bool:
        """Whether the row takes part from now on; False where it must wait until others have left."""

    @abstractmethod
    def cancel(self, row: Row) -> None:
        """Let an admitted row leave: the next step holds its final one, and what it has is kept."""

    @abstractmethod
    def step(self) -> list[Step]:
        """Run one forward of the rows in flight: what it changed in each, and who ended."""


@runtime_checkable
class SupportsSteps(Protocol):
    """What runs rows: an algorithm whose rows can share forwards, be watched and be cancelled, or what calls
    one that is opaque.

    Rows of all with the same ``loop_class`` share a loop.
    """

    @property
    def loop_class(self) -> type[StepLoop]: ...

    def sequence(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, Any]) -> Row:
        """A row ready to be admitted: ``params`` are effective values; no forward is run.

        Raises ``PromptError`` and ``ParameterError`` where the model cannot decode it.
        """

    def open_loop(self, model: Any, *, rows: int, columns: int | None = None) -> StepLoop:
        """A loop on ``model`` for ``rows`` rows and ``columns`` cached columns; None is what is free."""
