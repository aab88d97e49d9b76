"""The result of a row that has ended: what its canvas says, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass

from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.results import FinishReason, GenerationResult
from llada_core.generation.templates import Cloze
from llada_core.generation.tickets import Ticket
from llada_core.generation.watches import Watch

__all__ = ["result_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a canvas says; ``places`` are the offsets of ``token_ids`` in the answer, and ``counted`` these
    with those of the end tokens behind them."""

    text: str
    token_ids: tuple[int, ...]
    places: tuple[int, ...]
    counted: tuple[int, ...]
    ended: bool
    blanks: tuple[str, ...] = ()


def result_of(
    model: Model, job: Job, ticket: Ticket, *, watch: Watch | None, reason: FinishReason | None
) -> GenerationResult:
    """What the caller of a row is told; ``reason`` is that of a row which never entered its loop."""
    said = _answer(model, ticket, watch) if job.cloze is None else _filled(model, ticket, job.cloze)
    stopped = watch is not None and watch.stopped
    cancelled: FinishReason | None = "cancelled" if ticket.row.cancelled and not stopped else reason
    assert ticket.arrived is not None
    assert ticket.admitted is not None
    assert ticket.finished is not None
    return GenerationResult(
        text=said.text,
        token_ids=said.token_ids,
        finish_reason=cancelled or ("stop" if said.ended or stopped else "length"),
        prompt_tokens=len(job.prompt_ids) + _fixed(job.cloze),
        nfe=ticket.nfe,
        arrived=ticket.arrived,
        admitted=ticket.admitted,
        finished=ticket.finished,
        engine=job.algorithm.engine,
        algorithm=job.algorithm.name,
        parameters=job.parameters,
        warnings=ticket.row.warnings,
        blanks=said.blanks,
        confidence=None if watch is None else watch.confidence(said.places),
        alternatives=None if watch is None else watch.alternatives(said.places),
        trajectory=(
            None if watch is None else watch.trajectory(job.prompt_ids, ticket.gen_length, said.counted)
        ),
    )


def _answer(model: Model, ticket: Ticket, watch: Watch | None) -> _Said:
    """What stands before the first mask, the first end token and the first text that ends it."""
    whole, ended = model.cut(ticket.token_ids)
    ids = whole
    if model.tokenizer is None:
        text = ""
    elif watch is None:
        text = model.decode(ids)
    else:
        text, ids = watch.cut(ids, model)
    through = len(ids) + (ended and len(ids) == len(whole))
    return _Said(
        text=text,
        token_ids=ids,
        places=tuple(range(len(ids))),
        counted=tuple(range(through)),
        ended=ended,
    )


def _filled(model: Model, ticket: Ticket, cloze: Cloze) -> _Said:
    """What the blanks say, each up to its first end token or its first mask."""
    reached = ticket.token_ids
    kept: list[tuple[int, ...]] = []
    places: list[int] = []
    counted: list[int] = []
    ends = []
    for begin, end in cloze.blanks:
        ids, ended = model.cut(reached[begin:end])
        kept.append(ids)
        places.extend(range(begin, begin + len(ids)))
        counted.extend(range(begin, begin + len(ids) + ended))
        ends.append(ended)
    return _Said(
        text=cloze.text(ticket.token_ids, model.decode),
        token_ids=tuple(token for ids in kept for token in ids),
        places=tuple(places),
        counted=tuple(counted),
        ended=all(ends),
        blanks=tuple(map(model.decode, kept)),
    )


def _fixed(cloze: Cloze | None) -> int:
    """How many tokens of the answer were given."""
    return 0 if cloze is None else sum(cell is not None for cell in cloze.cells)
