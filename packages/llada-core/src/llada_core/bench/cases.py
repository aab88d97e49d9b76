"""What is measured: an algorithm with its parameters, so many rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llada_core.bench.questions import Question
from llada_core.errors import UsageError
from llada_core.generation.results import GenerationRequest
from llada_core.parameters import parameters_of_row
from llada_core.values import shown

__all__ = ["Case"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An algorithm, None for the model's default, with its ``parameters``; ``rows`` are in flight at a time.

    ``label`` is what people call it, beside the length and the rows. Raises ``UsageError`` for a number of
    rows that is none.
    """

    label: str
    algorithm: str | None
    parameters: Mapping[str, object]
    rows: int

    def __post_init__(self) -> None:
        if type(self.rows) is not int or self.rows < 1:
            raise UsageError(f"rows={shown(self.rows)} is no count of rows; give an integer from 1 on")

    def request(self, question: Question, number: int, *, raw: bool = False) -> GenerationRequest:
        """What asks the question, ``number`` of its sample: with a ``seed``, it draws from seed + number."""
        return GenerationRequest(
            prompt=question.prompt,
            algorithm=self.algorithm,
            raw=raw,
            parameters=parameters_of_row(self.parameters, number),
        )
