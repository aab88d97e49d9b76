"""``POST /v1/completions``: text goes on as it stands, without a chat template, or a gap in it is filled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from llada_server.http.wire.base import Answer, DecodingRequest, examples, wrong
from llada_server.http.wire.usage import FinishReason, Generation, Usage

__all__ = ["Completion", "CompletionChoice", "CompletionChunk", "CompletionRequest"]

TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


def _is_prompt(given: Any) -> bool:
    """Whether it is text, or a list of ids from 0 on."""
    if isinstance(given, str):
        return True
    return isinstance(given, list) and bool(given) and all(type(each) is int and each >= 0 for each in given)


class CompletionRequest(DecodingRequest):
    """Text or token ids to go on with; of a list of them, each gets its answers."""

    model_config = examples(
        {"prompt": "What is 12 + 30?", "max_tokens": 16, "stop": "."},
        {"prompt": "12 + 30 = ", "suffix": ". The answer is 42.", "max_tokens": 2},
        {"prompt": ["1 + 1 =", "2 + 2 ="], "max_tokens": 4, "echo": True, "logprobs": 0},
    )

    prompt: str | TokenIds | Annotated[list[str | TokenIds], Field(min_length=1)]
    echo: StrictBool = Field(
        default=False,
        description="Begin the answer with the prompt; with logprobs, tell of its tokens too, each given "
        "those before it: a forward a token.",
    )
    suffix: str | None = Field(
        default=None, description="What comes after the gap of max_tokens tokens; the model sees both sides."
    )
    logprobs: StrictInt | None = Field(
        default=None,
        ge=0,
        le=20,
        description="How sure the model was of each token when it was committed (natural log), and of so "
        "many of the likeliest in its place.",
    )

    @field_validator("prompt", mode="before")
    @classmethod
    def _prompt_is_one(cls, given: Any) -> Any:
        """Refuse what is no prompt in words of JSON; a union's would name Python's types."""
        if not (_is_prompt(given) or (isinstance(given, list) and given and all(map(_is_prompt, given)))):
            raise wrong("prompt", "prompt is text, a list of token ids, or a list of these; give one")
        return given

    @model_validator(mode="after")
    def _check_suffix(self) -> CompletionRequest:
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompts):
            told = "suffix is for prompts of text; give the prompt as text, or use /v1/infill"
            raise wrong("suffix", told)
        if self.tells_prompts and (self.suffix or self.stream):
            name = "suffix" if self.suffix else "stream"
            told = (
                f"echo with logprobs tells of whole answers to prompts; leave {name} out, or one of the two"
            )
            raise wrong(name, told)
        if self.suffix and self.stops:
            told = "stop ends an answer, and a gap before a suffix has its length; leave one of both out"
            raise wrong("stop", told)
        return self

    @property
    def tells_prompts(self) -> bool:
        """Whether it is asked how probable the prompts' tokens are."""
        return self.echo and self.logprobs is not None

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts, one or more."""
        given = self.prompt
        if isinstance(given, str):
            return [given]
        ids = [each for each in given if isinstance(each, int)]
        if ids:
            return [ids]
        return [each for each in given if not isinstance(each, int)]


class CompletionLogprobs(Answer):
    """The tokens of a choice; offsets count characters of its text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None = None
    text_offset: list[int]


class CompletionChoice(Answer):
    """One of the ``n`` answers to one of the prompts."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason


class Completion(Answer):
    """The answers to all prompts: those to the first, then those to the second, and so on."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    generation: Generation


class ChunkChoice(Answer):
    """What a chunk adds to one of the answers."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason | None = None


class CompletionChunk(Answer):
    """One event of a stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    generation: Generation | None = None
