"""The course of chats, completions and infillings, which differ in what they ask and in their JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.generation.steps import Step
from llada_server.http.leaving import unless_gone
from llada_server.http.routes.decoding import Identity, denoise_frame, generation, usage
from llada_server.http.served import Served
from llada_server.http.streams import stream
from llada_server.http.wire.base import DecodingRequest
from llada_server.http.wire.denoise import DenoiseFrame
from llada_server.scheduler.events import Changed, Ended

__all__ = ["Asking", "Teller", "answered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller(ABC):
    """How a kind of request is told of its answers: whole, or as a ``Voice`` of its stream.

    ``whole`` and ``chunk`` are the JSON of all answers and of an event.
    """

    whole: ClassVar[type[BaseModel]]
    chunk: ClassVar[type[BaseModel]]

    served: Served
    identity: Identity

    @abstractmethod
    def choice(self, index: int, result: GenerationResult) -> BaseModel:
        """An answer in ``whole``."""

    @abstractmethod
    def text(self, index: int, text: str) -> BaseModel:
        """The next piece of text."""

    @abstractmethod
    def end(self, index: int, result: GenerationResult) -> BaseModel:
        """Why it ended."""

    def opening(self) -> Iterable[BaseModel]:
        """What is sent before anything has happened."""
        return ()

    def canvas(self, index: int, cells: tuple[int | None, ...]) -> BaseModel | None:
        """The canvas at its beginning; None where it is of masks only."""
        return None

    def step(self, index: int, step: Step) -> DenoiseFrame:
        """What one forward changed."""
        return denoise_frame(self.identity, index, step, self.served)

    def heard(self, index: int, event: Changed | Ended) -> str:
        """What of the text of ``event`` belongs to the answer."""
        return event.text

    async def look_back(self, results: Sequence[GenerationResult]) -> None:
        """Ask what else is to be told of whole answers, and is known only once they are there: nothing, if
        nothing else is said."""
        return

    def of_prompts(self, results: Sequence[GenerationResult]) -> Sequence[GenerationResult]:
        """One result of each prompt; there is one prompt, if nothing else is said."""
        return results[:1]

    def summary(self, results: Sequence[GenerationResult]) -> BaseModel:
        """What all of it took."""
        return self.chunk(choices=[], **self._figures(results))

    def completion(self, results: Sequence[GenerationResult]) -> BaseModel:
        """All answers."""
        choices = [self.choice(index, result) for index, result in enumerate(results)]
        return self.whole(choices=choices, **self._figures(results))

    def _figures(self, results: Sequence[GenerationResult]) -> dict[str, Any]:
        prompts = [result.prompt_tokens for result in self.of_prompts(results)]
        return {
            **self.identity.fields,
            "usage": usage(prompts, results),
            "generation": generation(results),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a body asks for: requests to the model's thread, and who tells of their answers."""

    teller: Teller
    requests: Sequence[GenerationRequest]

    @property
    def count(self) -> int:
        """How many answers."""
        return len(self.requests)

    async def results(self) -> list[GenerationResult]:
        """Every result, in the order of the requests, once all is known that is told with them."""
        async with self.teller.served.answers(self.requests, follow=False) as answers:
            results = await answers.results()
        await self.teller.look_back(results)
        return results

    async def whole(self) -> BaseModel:
        """All answers."""
        return self.teller.completion(await self.results())


async def answered(request: Request, body: DecodingRequest, asking: Asking) -> Response:
    """The answers that ``body`` asks for: streamed or whole."""
    teller = asking.teller
    if body.stream:
        answers = teller.served.answers(asking.requests, follow=True)
        return await stream(answers, teller, body.stream_options, request)
    results = await unless_gone(request, asking.results())
    # Beside the event loop: what all tokens and their likeliest say are megabytes.
    told = await run_in_threadpool(lambda: teller.completion(results).model_dump_json())
    return Response(told, media_type="application/json")
