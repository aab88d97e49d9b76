"""What the model's thread tells of a request, in this order: it began, what changed, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step

__all__ = ["Began", "Changed", "Ended", "Event", "Failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """It is accepted: its parameters are good and its prompt fits.

    ``cells`` is its canvas, ids and None for masks.
    """

    prompt_tokens: int
    cells: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One forward of it. ``text`` is what is final now and was not before; pieces join to the answer."""

    step: Step
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It has its result; ``step`` is what its last forward changed.

    ``text`` is the last piece, and empty where pieces are not told.
    """

    step: Step
    result: GenerationResult
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It was refused, or failed in work; its neighbours did not notice."""

    error: Exception


Event: TypeAlias = Began | Changed | Ended | Failed
