"""Rows to decode, and what became of them: tokens and forwards, whatever the algorithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llada_core import GenerationRequest
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.loading import LoadedModel
from llada_dev.verify.differences import Tokens

__all__ = ["Answered", "Case", "Decoded", "Replays", "Row", "decoded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prompt and how it is decoded."""

    algorithm: str
    prompt_ids: tuple[int, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What became of a row: all tokens of the answer, also behind an end token, and its forwards."""

    tokens: Tokens
    nfe: int
    error: str | None = None  # the exception would hold the frames that raised it, and with them the model

    def is_as(self, other: Decoded) -> bool:
        """Whether both have the same tokens and took as many forwards."""
        return tuple(self.tokens) == tuple(other.tokens) and self.nfe == other.nfe


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """What a network says of its CUDA graphs: ``count`` forwards of them, and the ``problem`` of a capture
    that failed, None where none did."""

    count: int = 0
    problem: str | None = None

    @classmethod
    def of(cls, network: Any) -> Replays:
        """What has become of the graphs of a loaded network; nothing where it has none."""
        return cls(count=getattr(network, "replays", 0), problem=getattr(network, "capture_problem", None))

    def since(self, before: Replays) -> Replays:
        """The same without the forwards that had been run ``before``."""
        return Replays(count=self.count - before.count, problem=self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A row for each prompt of one algorithm and its parameters, what each becomes alone, and the graphs that
    it was run in. It holds no model."""

    label: str
    rows: tuple[Row, ...]
    alone: tuple[Decoded, ...]
    replays: Replays = Replays()

    @property
    def problem(self) -> str | None:
        """Why its rows cannot be compared: the first that failed; None where none did."""
        failed = ((at, each.error) for at, each in enumerate(self.alone) if each.error is not None)
        return next((f"prompt {at} failed: {error}" for at, error in failed), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Answered):
    """The same with the algorithm, which holds the model."""

    algorithm: GenerationAlgorithm

    @property
    def answered(self) -> Answered:
        """What is left to compare with once the model is to go."""
        return Answered(label=self.label, rows=self.rows, alone=self.alone, replays=self.replays)


def decoded(lm: LoadedModel, rows: Sequence[Row], *, together: int) -> tuple[Decoded, ...]:
    """The rows in their order, up to ``together`` of them in flight at a time; 1 is each alone.

    A row that fails has its error. Raises ``ParameterError`` and ``PromptError`` for what can never run.
    """
    with lm.session(rows=together) as session:
        tickets = [
            session.submit(
                GenerationRequest(
                    prompt=list(row.prompt_ids), algorithm=row.algorithm, parameters=row.parameters
                )
            )
            for row in rows
        ]
        for _ in session:  # until all have ended
            pass
    return tuple(
        Decoded(tokens=each.canvas, nfe=each.nfe, error=None if each.error is None else str(each.error))
        for each in tickets
    )
