"""A row in work, and the handle by which everybody else knows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self

from llada_core.errors import TokenizerMissing
from llada_core.generation.growing import GrowingText
from llada_core.generation.model import Model
from llada_core.generation.results import Canvas, GenerationResult
from llada_core.generation.rows import Record, record_of
from llada_core.generation.templates import Cloze

__all__ = ["Row", "Status", "Ticket"]

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
