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

__all__ = ["Row", "Status", "Step", "StepLoop", "SupportsSteps", "Ticket"]

Status = Literal["waiting", "running", "finished"]


class Row(Protocol):
    """One request in work. Everything that changes while it is decoded is its own.

    ``canvas`` is prompt and answer, with the mask's id where a mask stands; what follows the ``gen_length``
    columns of the answer, which may become more while it is decoded, is the row's own business. ``columns``
    are the cached columns that it needs while it is in flight, 0 where it caches nothing. ``warnings`` are
    sentences for whoever reads the answer.

    One that can tell more of its tokens has ``alternatives``, an int, and ``traced``, a bool: where somebody
    asks they are set, and its steps have the fields of the first name, and the log-probabilities. One that
    can tell what its forwards computed has ``computed``, a `Computed`.
    """

    ticket: Ticket

    @property
    def prompt_length(self) -> int: ...
    @property
    def gen_length(self) -> int: ...
    @property
    def mask_id(self) -> int | None: ...
    @property
    def canvas(self) -> Sequence[int]: ...
    @property
    def columns(self) -> int: ...
    @property
    def nfe(self) -> int: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class Ticket:
    """The handle of a row: hashable, and good for questions while the row waits, runs, and when it has ended.

    A copy is the ticket itself. In another process, to which a pickle brings it, it is a record of the row as
    it stood: it goes on answering, and nothing changes any more.

    Attributes:
        row: the row itself.
        index: which prompt of its call it is, or how many were submitted to its session before it.
        arrived, admitted, finished: when it was submitted, first took part in a step, and ended, in seconds
            of ``time.perf_counter``; None before that.
        result: of a row that ended by itself or was cancelled.
        error: of a row that failed.
        algorithm: the name of the algorithm that decodes it, empty in a row that was not submitted.
        columns, gen_length: cached columns that the row takes, and positions of its answer, as it told when
            it was submitted and, of the length, when it had its result.
    """

    def __init__(
        self, row: Row, *, index: int = 0, model: Model | None = None, cloze: Cloze | None = None
    ) -> None:
        self.row, self.index = row, index
        self.arrived: float | None = None
        self.admitted: float | None = None
        self.finished: float | None = None
        self.result: GenerationResult | None = None
        self.error: Exception | None = None
        self.algorithm, self.columns, self.gen_length = "", 0, 0
        self._model, self._cloze = model, cloze
        self._text = None if model is None else GrowingText(model.decode)

    @property
    def status(self) -> Status:
        """``"waiting"`` for room, ``"running"``, or ``"finished"``, however it ended."""
        if self.finished is not None:
            return "finished"
        return "waiting" if self.admitted is None else "running"

    @property
    def nfe(self) -> int:
        """Forwards that the row has taken part in so far."""
        return self.row.nfe

    @property
    def canvas(self) -> Canvas:
        """The whole answer as it stands now, None where a mask does."""
        mask = self.row.mask_id
        return tuple(None if token == mask else token for token in self._answer())

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids of the answer before its first mask."""
        answer, mask = self._answer(), self.row.mask_id
        return tuple(answer[: answer.index(mask)] if mask in answer else answer)

    @property
    def text(self) -> str:
        """The answer so far: what stands before its first mask and its first end token.

        Raises ``TokenizerMissing``, in another process too, unless the row has its result.
        """
        if self._model is None and self.result is not None:
            return self.result.text
        return self.text_before(self.row.gen_length)

    def text_before(self, offset: int) -> str:
        """The text of the answer's ids before ``offset``, the first mask and the first end token.

        Of a template, the whole text so far. Raises ``TokenizerMissing``.
        """
        if self._model is None or self._text is None:
            message = "this row is here without a model's tokenizer; decode its token_ids yourself"
            raise TokenizerMissing(message, path="the model")
        ids = self.token_ids[:offset]
        if self._cloze is not None:
            return self._cloze.text(ids, self._model.decode)
        return self._text.of(self._model.cut(ids)[0])

    def _answer(self) -> list[int]:
        begin = self.row.prompt_length
        return list(self.row.canvas[begin : begin + self.row.gen_length])

    def __copy__(self) -> Self:
        return self  # a handle of the row is the handle

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        clock = (self.arrived, self.admitted, self.finished)
        told = (self.algorithm, self.columns, self.gen_length)
        return _received, (record_of(self.row), self.index, clock, told, self.result, self.error)

    def __repr__(self) -> str:
        return f"<Ticket {self.index}, {self.status}>"


def _received(
    record: Record,
    index: int,
    clock: tuple[float | None, float | None, float | None],
    told: tuple[str, int, int],
    result: GenerationResult | None,
    error: Exception | None,
) -> Ticket:
    ticket = Ticket(record, index=index)  # type: ignore[arg-type]  # nobody asks a record for its ticket
    ticket.arrived, ticket.admitted, ticket.finished = clock
    ticket.algorithm, ticket.columns, ticket.gen_length = told
    ticket.result, ticket.error = result, error
    return ticket


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
