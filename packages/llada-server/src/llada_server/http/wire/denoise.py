"""Frames of a stream that tell what each forward changed, for those who asked for ``denoise``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llada_server.http.wire.base import Answer

__all__ = ["DenoiseFrame"]


class DenoiseFrame(Answer):
    """One forward of one answer. Its empty ``choices`` let clients pass it that expect a chunk."""

    id: str
    object: Literal["generation.denoise"] = "generation.denoise"
    created: int
    model: str
    choices: list[Any] = Field(default_factory=list, max_length=0)
    index: int = Field(description="Which answer.")
    nfe: int = Field(description="Forward passes of it so far.")
    block: int
    gen_length: int = Field(description="Positions of the answer, those that are inserted among them.")
    inserted: list[tuple[int, int]] = Field(
        description="Offsets and counts, one after the other: so many masks are put in there, before all "
        "else, and what stands there and behind moves back; behind gen_length positions it is gone."
    )
    positions: list[int] = Field(description="Offsets into the answer that hold a token now.")
    tokens: list[int]
    texts: list[str] = Field(description="Each token by itself.")
    confidence: list[float]
    revoked: list[int] = Field(description="Offsets that hold a mask again, before positions are filled.")
    settled: int = Field(description="So many leading positions cannot change any more.")
