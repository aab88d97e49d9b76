"""``POST /v1/completions``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.parameters import without
from llada_server.http.documented import DECODED
from llada_server.http.parsing import ParsedRoute
from llada_server.http.problems import Fields
from llada_server.http.routes.decoding import (
    Identity,
    Logprob,
    asked,
    finish_reason,
    logprobs,
    repeated,
)
from llada_server.http.routes.echoes import Echoed
from llada_server.http.routes.kind import Kind
from llada_server.http.routes.telling import Asking, Teller, answered
from llada_server.http.served import Asked, Served
from llada_server.http.wire.completions import (
    ChunkChoice,
    Completion,
    CompletionChoice,
    CompletionChunk,
    CompletionLogprobs,
    CompletionRequest,
)
from llada_server.scheduler.events import Changed, Ended

__all__ = ["COMPLETIONS", "router"]


def router(served: Served) -> APIRouter:
    """The path, for this model."""
    routes = APIRouter(tags=["OpenAI"], route_class=ParsedRoute)

    @routes.post(COMPLETIONS.path, response_model=Completion, responses=DECODED)
    async def completions(body: CompletionRequest, request: Request) -> Response:
        """What comes after a text, or between it and its ``suffix``; no chat template is used."""
        return await answered(request, body, COMPLETIONS.take(served, body, request.state))

    return routes


def _named(body: CompletionRequest) -> Fields:
    return Fields(named=body.naming_field, length=body.length_field())


def _asked(served: Served, body: CompletionRequest) -> Asking:
    served.check_name(body.model)
    how = asked(served, body, prompts=len(body.prompts))
    teller = _Teller(
        served=served,
        identity=Identity.new("cmpl", served.name),
        echoes=[_echo(served, body, prompt) for prompt in body.prompts],
        n=body.n,
        gaps=_gaps(body, how) if body.suffix else [],
        echoed=_echoed(served, body, how),
    )
    made = [made for prompt in body.prompts for made in _requests(served, body, how, prompt)]
    return Asking(teller=teller, requests=made)


COMPLETIONS = Kind(path="/v1/completions", body=CompletionRequest, fields=_named, asked=_asked)
"""A text that goes on, or has a gap."""


def _requests(
    served: Served, body: CompletionRequest, how: Asked, prompt: str | list[int]
) -> list[GenerationRequest]:
    parameters, logprobs = how.parameters, body.logprobs
    if not body.suffix:
        fields: dict[str, Any] = {"prompt": prompt, "raw": True, "stop": body.stops}
    else:
        parameters = without("gen_length", parameters, how.declared)
        fields = {"template": [prompt, {"max_tokens": how.length}, body.suffix]}
    return repeated(served, body, how, parameters, logprobs=logprobs, **fields)


def _gaps(body: CompletionRequest, how: Asked) -> list[_Gap]:
    """One for each answer."""
    return [_Gap(len(prompt), how.length) for prompt in body.prompts for _ in range(body.n)]


def _echo(served: Served, body: CompletionRequest, prompt: str | list[int]) -> str:
    """What the answers to ``prompt`` begin with."""
    if not body.echo:
        return ""
    return prompt if isinstance(prompt, str) else served.text_of(prompt, field="prompt")


def _echoed(served: Served, body: CompletionRequest, how: Asked) -> Echoed | None:
    """What is told of the prompts' own tokens; None where nobody asked."""
    if not body.tells_prompts:
        return None
    return Echoed(
        served,
        body.prompts,
        n=body.n,
        algorithm=how.algorithm,
        likeliest=body.logprobs or 0,
        ends=not body.stops,
    )


def _logprobs(told: Sequence[Logprob], *, start: int) -> CompletionLogprobs:
    """The tokens of an answer, which begin at character ``start`` of the text."""
    texts = [each.text for each in told]
    # Parts of characters have one text: the likeliest of them, which comes first, has its value.
    likeliest = [{other.text: other.value for other in reversed(each.likeliest)} for each in told]
    return CompletionLogprobs(
        tokens=texts,
        token_logprobs=[each.value for each in told],
        top_logprobs=likeliest if any(likeliest) else None,
        text_offset=list(accumulate(map(len, texts), initial=start))[:-1],
    )


@dataclass(slots=True)
class _Gap:
    """What was heard of the text in ``cells`` cells between two texts.

    Of the first of these, ``before`` characters are still to come.
    """

    before: int
    cells: int
    given: int = 0

    def heard(self, event: Changed | Ended) -> str:
        """What the event adds to the gap. Once all of it is final, the text behind it is told along; the
        rest of the gap comes with the end then."""
        if isinstance(event, Ended):
            return event.result.blanks[0][self.given :]
        if event.step.settled >= self.cells:
            return ""
        text = event.text[self.before :]
        self.before -= min(self.before, len(event.text))
        self.given += len(text)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller(Teller):
    """``n`` answers to each prompt.

    ``echoes`` are what those to each begin with, ``gaps`` where each stands between two texts, and ``echoed``
    what is told of the prompts' tokens.
    """

    whole = Completion
    chunk = CompletionChunk

    echoes: list[str]
    n: int
    gaps: list[_Gap]
    echoed: Echoed | None

    async def look_back(self, results: Sequence[GenerationResult]) -> None:
        if self.echoed is not None:
            await self.echoed.ask(results)

    def choice(self, index: int, result: GenerationResult) -> CompletionChoice:
        said = result.blanks[0] if self.gaps else result.text
        return CompletionChoice(
            index=index,
            text=self.echo(index) + said,
            finish_reason=finish_reason(result),
            logprobs=self.logprobs(index, result),
        )

    def of_prompts(self, results: Sequence[GenerationResult]) -> Sequence[GenerationResult]:
        return results[:: self.n]

    def opening(self) -> Iterable[CompletionChunk]:
        echoes = map(self.echo, range(len(self.echoes) * self.n))
        return [self._chunk(index, text=echo) for index, echo in enumerate(echoes) if echo]

    def echo(self, index: int) -> str:
        """What answer ``index`` begins with."""
        return self.echoes[index // self.n]

    def heard(self, index: int, event: Changed | Ended) -> str:
        return self.gaps[index].heard(event) if self.gaps else event.text

    def text(self, index: int, text: str) -> CompletionChunk:
        return self._chunk(index, text=text)

    def end(self, index: int, result: GenerationResult) -> CompletionChunk:
        return self._chunk(
            index, text="", finish_reason=finish_reason(result), logprobs=self.logprobs(index, result)
        )

    def logprobs(self, index: int, result: GenerationResult) -> CompletionLogprobs | None:
        """The tokens of an answer, and of its prompt where these are told; None where nobody asked."""
        told = logprobs(self.served, result)
        if told is None:
            return None
        if self.echoed is None:
            return _logprobs(told, start=len(self.echo(index)))
        return _logprobs([*self.echoed.before(index), *told, *self.echoed.behind(index)], start=0)

    def _chunk(self, index: int, **choice: Any) -> CompletionChunk:
        return CompletionChunk(**self.identity.fields, choices=[ChunkChoice(index=index, **choice)])
