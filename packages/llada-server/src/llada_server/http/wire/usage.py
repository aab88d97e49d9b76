"""What an answer took, in OpenAI's words and in ours."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llada_server.http.wire.base import Answer

__all__ = ["FinishReason", "Generation", "Usage"]

FinishReason = Literal["stop", "length"]


class Usage(Answer):
    """Tokens: of the prompt once, of all answers together, end tokens not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Generation(Answer):
    """How an answer was decoded."""

    engine: str
    algorithm: str
    parameters: dict[str, Any] = Field(
        description="All of the algorithm's, with the values that were in effect."
    )
    nfe: int = Field(description="Forward passes; of several answers, their sum.")
    tokens_per_forward: float
    queue_ms: float = Field(description="From the arrival of the request to its first forward.")
    generate_ms: float = Field(description="From its first forward to its end.")
    warnings: list[str] = Field(default_factory=list)
