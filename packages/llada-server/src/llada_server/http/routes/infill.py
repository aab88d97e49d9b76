"""``POST /v1/infill`` and ``/v1/score``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.generation.templates import pieces_of
from llada_core.parameters import without
from llada_server.http.documented import DECODED, SCORED
from llada_server.http.leaving import unless_gone
from llada_server.http.parsing import ParsedRoute
from llada_server.http.problems import Fields
from llada_server.http.routes.decoding import (
    Identity,
    asked,
    finish_reason,
    least,
    repeated,
)
from llada_server.http.routes.kind import Kind
from llada_server.http.routes.telling import Asking, Teller, answered
from llada_server.http.served import Served
from llada_server.http.wire.infill import (
    CanvasFrame,
    ChunkChoice,
    InfillChoice,
    InfillChunk,
    InfillCompletion,
    InfillRequest,
    Part,
    Scored,
    ScoreRequest,
    ScoreTable,
)

__all__ = ["INFILL", "SCORE", "router"]


def router(served: Served) -> APIRouter:
    """The paths, for this model."""
    routes = APIRouter(tags=["Both sides"], route_class=ParsedRoute)

    @routes.post(INFILL.path, response_model=InfillCompletion, responses=DECODED)
    async def infill(body: InfillRequest, request: Request) -> Response:
        """A text with its blanks filled; what is given never changes."""
        return await answered(request, body, INFILL.take(served, body, request.state))

    @routes.post(SCORE.path, responses=SCORED)
    async def score(body: ScoreRequest, request: Request) -> ScoreTable:
        """How probable each candidate is in the blank: one forward for each length that they have."""
        return await unless_gone(request, SCORE.take(served, body, request.state).whole())

    return routes


def _named(body: InfillRequest) -> Fields:
    return Fields(asked="template", named=body.naming_field, length=body.length_field("template"))


def _asked(served: Served, body: InfillRequest) -> Asking:
    served.check_name(body.model)
    teller = _Teller(served=served, identity=Identity.new("infill", served.name), body=body)
    return Asking(teller=teller, requests=_requests(served, body))


INFILL = Kind(path="/v1/infill", body=InfillRequest, fields=_named, asked=_asked)
"""A text with blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoring:
    """The scores of a body."""

    served: Served
    body: ScoreRequest

    @property
    def count(self) -> int:
        return 1

    async def whole(self) -> ScoreTable:
        scores = await self.served.scores(self.body)
        told = [
            Scored(
                text=each.text,
                tokens=len(each.token_ids),
                log_probability=least(each.log_probability),
                probability=each.probability,
                per_token=least(each.per_token),
            )
            for each in scores
        ]
        best = max(range(len(told)), key=lambda index: told[index].per_token)
        return ScoreTable(model=self.served.name, best=best, scores=told)


def _named_in_score(body: ScoreRequest) -> Fields:
    return Fields(asked="template", named=body.naming_field, length="template")


def _scoring(served: Served, body: ScoreRequest) -> _Scoring:
    served.check_name(body.model)
    return _Scoring(served=served, body=body)


SCORE = Kind(path="/v1/score", body=ScoreRequest, fields=_named_in_score, asked=_scoring)
"""What could stand in a blank."""


def _requests(served: Served, body: InfillRequest) -> list[GenerationRequest]:
    how = asked(served, body)
    parameters = without("gen_length", how.parameters, how.declared) if how.shorten else how.parameters
    fields = {**served.context(body), "template": body.template}
    return repeated(served, body, how, parameters, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller(Teller):
    """``n`` texts; of each the canvas for those who ask, its text, its end."""

    whole = InfillCompletion
    chunk = InfillChunk

    body: InfillRequest

    def choice(self, index: int, result: GenerationResult) -> InfillChoice:
        return InfillChoice(
            index=index,
            text=result.text,
            pieces=list(_parts(self.body, result)),
            finish_reason=finish_reason(result),
        )

    def canvas(self, index: int, cells: tuple[int | None, ...]) -> CanvasFrame:
        told = [None if cell is None else self.served.token_text(cell) for cell in cells]
        return CanvasFrame(**self.identity.fields, index=index, cells=told)

    def text(self, index: int, text: str) -> InfillChunk:
        return self._chunk(index, text=text)

    def end(self, index: int, result: GenerationResult) -> InfillChunk:
        return self._chunk(index, text="", finish_reason=finish_reason(result))

    def _chunk(self, index: int, **choice: Any) -> InfillChunk:
        return InfillChunk(**self.identity.fields, choices=[ChunkChoice(index=index, **choice)])


def _parts(body: InfillRequest, result: GenerationResult) -> Iterator[Part]:
    blanks = iter(result.blanks)
    for piece in pieces_of(body.template):
        filled = not isinstance(piece, str)
        yield Part(text=next(blanks) if filled else str(piece), filled=filled)
