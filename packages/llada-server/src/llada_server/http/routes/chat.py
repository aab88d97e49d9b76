"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from llada_core.generation.results import GenerationRequest, GenerationResult
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
from llada_server.http.routes.kind import Kind
from llada_server.http.routes.telling import Asking, Teller, answered
from llada_server.http.served import Served
from llada_server.http.wire.chat import (
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatLogprobs,
    ChatMessage,
    ChatRequest,
    ChunkChoice,
    Delta,
    TokenLogprob,
    TopLogprob,
)

__all__ = ["CHAT", "router"]

_PART = "\ufffd"


def router(served: Served) -> APIRouter:
    """The path, for this model."""
    routes = APIRouter(tags=["OpenAI"], route_class=ParsedRoute)

    @routes.post(CHAT.path, response_model=ChatCompletion, responses=DECODED)
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        """The next message of a conversation."""
        return await answered(request, body, CHAT.take(served, body, request.state))

    return routes


def _named(body: ChatRequest) -> Fields:
    return Fields(asked="messages", named=body.naming_field, length=body.length_field())


def _asked(served: Served, body: ChatRequest) -> Asking:
    served.check_name(body.model)
    identity = Identity.new("chatcmpl", served.name)
    teller = _Teller(served=served, identity=identity, count=body.n)
    return Asking(teller=teller, requests=_requests(served, body))


CHAT = Kind(path="/v1/chat/completions", body=ChatRequest, fields=_named, asked=_asked)
"""A conversation whose next message is wanted."""


def _requests(served: Served, body: ChatRequest) -> list[GenerationRequest]:
    how = asked(served, body)
    return repeated(
        served,
        body,
        how,
        how.parameters,
        prompt=served.conversation(body.messages),
        raw=not served.settings.use_chat_template,
        stop=body.stops,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )


def _logprobs(served: Served, result: GenerationResult) -> ChatLogprobs | None:
    """The tokens of an answer; None where nobody asked."""
    told = logprobs(served, result)
    if told is None:
        return None
    content = [
        TokenLogprob(**_fields(each), top_logprobs=[TopLogprob(**_fields(other)) for other in each.likeliest])
        for each in told
    ]
    return ChatLogprobs(content=content)


def _fields(told: Logprob) -> dict[str, Any]:
    return {"token": told.text, "logprob": told.value, "bytes": _bytes(told.text)}


def _bytes(text: str) -> list[int] | None:
    """The bytes of a token; None where it is a part of a character, whose bytes are not known."""
    return None if _PART in text else list(text.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller(Teller):
    """``count`` messages; of each a role, its text, its end."""

    whole = ChatCompletion
    chunk = ChatChunk

    count: int

    def choice(self, index: int, result: GenerationResult) -> ChatChoice:
        return ChatChoice(
            index=index,
            message=ChatMessage(content=result.text),
            finish_reason=finish_reason(result),
            logprobs=_logprobs(self.served, result),
        )

    def opening(self) -> Iterable[ChatChunk]:
        return [self._chunk(index, Delta(role="assistant", content="")) for index in range(self.count)]

    def text(self, index: int, text: str) -> ChatChunk:
        return self._chunk(index, Delta(content=text))

    def end(self, index: int, result: GenerationResult) -> ChatChunk:
        return self._chunk(
            index, Delta(), finish_reason=finish_reason(result), logprobs=_logprobs(self.served, result)
        )

    def _chunk(self, index: int, delta: Delta, **ended: Any) -> ChatChunk:
        return ChatChunk(**self.identity.fields, choices=[ChunkChoice(index=index, delta=delta, **ended)])
