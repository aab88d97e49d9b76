"""``POST /tokenize`` and ``/detokenize``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, model_validator

from llada_server.http.wire.base import Answer, Wire, examples, wrong
from llada_server.http.wire.chat import Messages

__all__ = ["DetokenizeRequest", "Text", "TokenizeRequest", "Tokens"]


class TokenizeRequest(Wire):
    """Text as it stands, or messages by the chat template."""

    model_config = examples(
        {"prompt": "12 + 30"}, {"messages": [{"role": "user", "content": "What is 12 + 30?"}]}
    )

    model: str | None = None
    prompt: str | None = None
    messages: Messages | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.prompt is None) is (self.messages is None):
            raise wrong("prompt", "give prompt or messages, and one of them only")
        return self


class Tokens(Answer):
    """The ids, and how many a prompt and its answer may have together."""

    tokens: list[int]
    count: int
    max_model_len: int | None


class DetokenizeRequest(Wire):
    """Ids to be read."""

    model_config = examples({"tokens": [20, 21, 22]})

    model: str | None = None
    tokens: Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(fail_fast=True)]


class Text(Answer):
    """What ids say, up to the first end token; special tokens left out."""

    prompt: str
