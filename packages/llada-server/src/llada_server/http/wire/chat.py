"""``POST /v1/chat/completions``."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from llada_server.http.wire.base import Answer, DecodingRequest, Wire, examples, wrong
from llada_server.http.wire.usage import FinishReason, Generation, Usage

__all__ = [
    "ChatChoice",
    "ChatChunk",
    "ChatCompletion",
    "ChatLogprobs",
    "ChatRequest",
    "ChunkChoice",
    "Delta",
    "Message",
    "Messages",
    "TokenLogprob",
    "TopLogprob",
]


_MOST_MESSAGES, _MOST_PARTS = 1024, 1024  # of a conversation, and of a message


class TextPart(Wire):
    """A part of a message; parts of other types than text are refused."""

    type: Literal["text"]
    text: str


def _json_type(value: Any) -> str:
    """What JSON calls the type of the value."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _told(content: Any) -> Any:
    """Refuse content that is no text in words that name its type; a union's would name Python's."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError(f"content is text or a list of text parts, and not {_json_type(content)}; give text")
    for part in content:
        if not isinstance(part, dict):
            raise ValueError(f"a part of content is an object, and this one is {_json_type(part)}; give text")
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = reprlib.repr(part.get("type"))
            raise ValueError(f"only parts of type text are read, and this one is {kind}; leave it out")
        for key, value in part.items():
            if key not in ("type", "text") and value is not None:
                raise ValueError(f"a part of content has type and text; leave {reprlib.repr(key)} out")
    return content


_NO_TOOLS = "tools are not called by this server; tell what one said in a message of the user"
_TOOLS = ("function_call", "tool_call_id", "tool_calls")
_EMPTY = frozenset({"annotations", "audio", "refusal", *_TOOLS})


class Message(Wire):
    """One message of a conversation."""

    role: str = Field(description="system, user, assistant, or what the model's chat template knows.")
    content: Annotated[
        str | Annotated[list[TextPart], Field(max_length=_MOST_PARTS, fail_fast=True)], BeforeValidator(_told)
    ]
    name: str | None = Field(default=None, description="Handed to the chat template, which may ignore it.")

    @model_validator(mode="before")
    @classmethod
    def _leave_empty_ones_out(cls, given: Any) -> Any:
        """Answers that clients send back have fields of OpenAI that hold nothing. Refuses those of tools that
        hold something."""
        if not isinstance(given, dict):
            return given
        for name in _TOOLS:
            if given.get(name):
                raise PydanticCustomError("unsupported_field", _NO_TOOLS, {"key": name})
        return {name: value for name, value in given.items() if value or name not in _EMPTY}

    @property
    def as_prompt(self) -> dict[str, Any]:
        """The message as chat templates take it."""
        content = self.content
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        told = {"role": self.role, "content": text}
        return told if self.name is None else {**told, "name": self.name}


Messages = Annotated[list[Message], Field(max_length=_MOST_MESSAGES, fail_fast=True)]


class ChatRequest(DecodingRequest):
    """A conversation whose next message is wanted."""

    model_config = examples(
        {"messages": [{"role": "user", "content": "What is 12 + 30?"}], "max_tokens": 32},
        {
            "messages": [{"role": "user", "content": "What is 12 + 30?"}],
            "temperature": 0.7,
            "seed": 1,
            "n": 2,
            "stream": True,
            "stream_options": {"include_usage": True, "denoise": True},
        },
    )

    messages: Messages = Field(min_length=1)
    logprobs: StrictBool = Field(
        default=False,
        description="Tell how sure the model was of each token when it was committed (natural log).",
    )
    top_logprobs: StrictInt | None = Field(
        default=None, ge=0, le=20, description="So many of the likeliest tokens at each place, too."
    )

    @model_validator(mode="after")
    def _check_logprobs(self) -> ChatRequest:
        if self.top_logprobs and not self.logprobs:
            told = "top_logprobs is for logprobs; set logprobs to true or leave it out"
            raise wrong("top_logprobs", told)
        return self


class TopLogprob(Answer):
    """A token, and the natural logarithm of its probability when one was committed in its place."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token of the answer, and the likeliest in its place."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(Answer):
    """The tokens of a choice."""

    content: list[TokenLogprob]
    refusal: None = None


class ChatMessage(Answer):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(Answer):
    """One of the ``n`` answers."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason


class ChatCompletion(Answer):
    """All answers to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    generation: Generation


class Delta(Answer):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(Answer):
    """What a chunk adds to one of the answers."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(Answer):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    generation: Generation | None = None
