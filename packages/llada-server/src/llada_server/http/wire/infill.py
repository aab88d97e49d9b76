"""``POST /v1/infill`` and ``/v1/score``: what only a model can do that sees both sides of a gap."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from llada_core.errors import PromptError
from llada_core.generation.templates import Blank, pieces_of
from llada_server.http.wire.base import AlgorithmRequest, Answer, DecodingRequest, examples, wrong
from llada_server.http.wire.chat import Messages
from llada_server.http.wire.usage import FinishReason, Generation, Usage

__all__ = [
    "CanvasFrame",
    "InfillChoice",
    "InfillChunk",
    "InfillCompletion",
    "InfillRequest",
    "Part",
    "ScoreRequest",
    "ScoreTable",
    "Scored",
]


_MOST_PIECES = 4096


def _count(template: Any) -> int:
    """How many pieces it has about, before any is looked at."""
    if isinstance(template, str):
        return template.count("{{")
    return len(template) if isinstance(template, list) else 0


def _checked(template: Any) -> Any:
    """Refuse a template of too many pieces, and one in the words of the library, which say what to write."""
    pieces = _count(template)
    if pieces > _MOST_PIECES:
        raise ValueError(f"a template has at most {_MOST_PIECES} pieces, and this one {pieces}; send fewer")
    try:
        pieces_of(template)
    except PromptError as exc:
        raise ValueError(str(exc)) from exc
    return template


Template = Annotated[
    str | list[str | dict[str, int]],
    BeforeValidator(_checked),
    Field(
        description="Text in which {{8}} is a blank of eight tokens and {{{{ are two braces; or a list of "
        'texts and blanks, {"max_tokens": 8}.',
        examples=["Sorted: 1, {{4}}, 9.", ["Name: ", {"max_tokens": 8}, "."]],
    ),
]


class _Context(AlgorithmRequest):
    """What a template is the answer to: a text, a conversation, or nothing."""

    prompt: str | None = Field(
        default=None, description="The user's message, to which the template is the answer."
    )
    messages: Messages | None = Field(default=None, description="The conversation that it goes on with.")

    @model_validator(mode="after")
    def _one_of_both(self) -> _Context:
        if self.prompt is not None and self.messages is not None:
            raise wrong("prompt", "give prompt or messages, and one of them only")
        return self


class InfillRequest(_Context, DecodingRequest):
    """A text with blanks. All stand in one canvas; the model sees what is on both sides."""

    model_config = examples(
        {"prompt": "What is 12 + 30?", "template": "12 + {{2}} = 42."},
        {"template": ["Tom has 3 apples and ", {"max_tokens": 8}, ". He has 7 apples."]},
    )

    template: Template

    @model_validator(mode="after")
    def _no_stop(self) -> InfillRequest:
        if self.stops:
            raise wrong("stop", "stop ends an answer, and blanks have their lengths; leave it out")
        return self


class Part(Answer):
    """A part of the text: given, or filled in."""

    text: str
    filled: bool


class InfillChoice(Answer):
    """One of the ``n`` ways to fill the blanks."""

    index: int
    text: str = Field(description="The whole text.")
    pieces: list[Part] = Field(description="Its parts, in their order; they join to the text.")
    finish_reason: FinishReason


class InfillCompletion(Answer):
    """The filled templates."""

    id: str
    object: Literal["infill"] = "infill"
    created: int
    model: str
    choices: list[InfillChoice]
    usage: Usage
    generation: Generation


class ChunkChoice(Answer):
    """What a chunk adds to one of the texts."""

    index: int
    text: str
    finish_reason: FinishReason | None = None


class InfillChunk(Answer):
    """One event of a stream."""

    id: str
    object: Literal["infill.chunk"] = "infill.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    generation: Generation | None = None


class CanvasFrame(Answer):
    """The canvas at its beginning, for those who asked for ``denoise``."""

    id: str
    object: Literal["generation.canvas"] = "generation.canvas"
    created: int
    model: str
    choices: list[Any] = Field(default_factory=list, max_length=0)
    index: int
    cells: list[str | None] = Field(description="Each token that is given, null where a mask stands.")


class ScoreRequest(_Context):
    """Texts that could stand in the one blank of a template; the blank gets the length of each.

    Of the algorithm only the chat options count: scores do not depend on it.
    """

    model_config = examples(
        {
            "prompt": "What is 12 + 30?",
            "template": "12 + 30 = {{1}}.",
            "candidates": ["42", "41", "52"],
        }
    )

    template: Template
    candidates: Annotated[list[Annotated[str, Field(min_length=1)]], Field(fail_fast=True)] = Field(
        min_length=1, max_length=1000
    )

    @model_validator(mode="after")
    def _one_blank(self) -> ScoreRequest:
        if sum(isinstance(piece, Blank) for piece in pieces_of(self.template)) > 1:
            told = "the template has several blanks, and candidates stand in one; leave one of them"
            raise wrong("template", told)
        for name in self.parameters:
            raise wrong(name, f"{name} is no field of a score; leave it out")
        return self


class Scored(Answer):
    """A candidate and what it has in its place."""

    text: str
    tokens: int
    log_probability: float = Field(
        description="Sum over its tokens, each asked with masks in all others' places."
    )
    probability: float
    per_token: float = Field(description="The mean a token, by which lengths can be compared.")


class ScoreTable(Answer):
    """All candidates, in the order of the request; ``best`` is the index of the highest per token."""

    object: Literal["score"] = "score"
    model: str
    best: int
    scores: list[Scored]
