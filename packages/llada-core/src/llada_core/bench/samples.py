"""What one measurement of a case found: each answer, and what all of them took together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import mean, median
from typing import Any

from llada_core.bench.questions import Question
from llada_core.generation.computed import Computed
from llada_core.generation.results import GenerationResult

__all__ = ["Answered", "Sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer.

    ``committed`` is how many positions of it hold a token that its algorithm put there: end tokens and what
    stands behind them among them, but not what an end fills without asking. ``first_text`` is the time from
    its submission to its first text, in seconds; None where it has none. ``computed`` is what its forwards
    computed, None where its row does not tell.
    """

    question: Question
    result: GenerationResult
    committed: int
    first_text: float | None
    computed: Computed | None = None

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None where nobody knows."""
        accepts = self.question.accepts
        return None if accepts is None else accepts(self.result.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All questions answered once.

    ``seconds`` of wall-clock time from the first submission to the end of the last row; ``forwards`` that the
    network ran, in each of which several rows may take part; ``rows`` were in flight together at most, fewer
    than the case's where the memory does not hold them; ``peak_memory`` in bytes, None where it cannot be
    told.
    """

    answers: tuple[Answered, ...]
    seconds: float
    forwards: int
    rows: int
    peak_memory: int | None

    @property
    def tokens(self) -> int:
        """Tokens of the answers, before the first end token of each."""
        return sum(each.result.completion_tokens for each in self.answers)

    @property
    def committed(self) -> int:
        """Positions that the algorithm gave a token."""
        return sum(each.committed for each in self.answers)

    @property
    def row_forwards(self) -> int:
        """The NFE of all rows: forwards, each counted once for every row that took part."""
        return sum(each.result.nfe for each in self.answers)

    @property
    def cut(self) -> int:
        """Answers without an end token: those that ``gen_length`` ended."""
        return sum(each.result.finish_reason == "length" for each in self.answers)

    @property
    def computed(self) -> Computed | None:
        """What the forwards of all rows computed; None where one of them does not tell."""
        told = [each.computed for each in self.answers if each.computed is not None]
        return sum(told, Computed()) if len(told) == len(self.answers) else None

    @property
    def first_text(self) -> float | None:
        """The median of the answers' times to first text, in seconds; None where no answer has text."""
        times = [each.first_text for each in self.answers if each.first_text is not None]
        return median(times) if times else None

    @property
    def accuracy(self) -> float | None:
        """Right answers in percent of those of which it is known; None where none is."""
        return _percent([each.right for each in self.answers if each.right is not None])

    def accuracies(self) -> dict[str, float]:
        """The accuracy of each group of questions, in percent."""
        groups: dict[str, list[bool]] = {}
        for each in self.answers:
            if each.question.group is not None and each.right is not None:
                groups.setdefault(each.question.group, []).append(each.right)
        return {name: 100.0 * mean(right) for name, right in groups.items()}

    def as_dict(self) -> Mapping[str, Any]:
        """What was counted, as ``llada bench --json`` writes it."""
        return {
            "seconds": self.seconds,
            "answers": len(self.answers),
            "cut": self.cut,
            "tokens": self.tokens,
            "committed": self.committed,
            "nfe": self.row_forwards,
            "forwards": self.forwards,
            "computed": None if self.computed is None else asdict(self.computed),
            "rows": self.rows,
            "rows_in_flight": self.row_forwards / self.forwards if self.forwards else None,
            "first_text": self.first_text,
            "peak_memory": self.peak_memory,
            "right": sum(each.right is True for each in self.answers),
            "checked": sum(each.right is not None for each in self.answers),
        }


def _percent(right: list[bool]) -> float | None:
    return 100.0 * mean(right) if right else None
