"""Answers to questions without a network: how right and how fast a setting is follows from its threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from llada_core.bench import Answered, Case, Question, Sample

__all__ = ["Oracle"]

TOKENS = 20


@dataclass(slots=True)
class Oracle:
    """Stands for ``measure``: a setting without a threshold is one token a step, and has all but every
    tenth question right; below 0.7 it loses every fourth as well.

    ``asked`` are the questions of each setting; ``fails`` names settings that fail, ``ends`` after how many
    answers Ctrl-C comes, ``finish`` is how all answers end.
    """

    fails: tuple[str, ...] = ()
    ends: int | None = None
    knows: bool = True
    finish: str = "stop"
    asked: dict[str, list[Question]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    def __call__(
        self,
        lm: object,
        case: Case,
        questions: Sequence[Question],
        *,
        raw: bool = False,
        told: Callable[[int], None] = lambda ended: None,
    ) -> Sample:
        if any(each in case.label for each in self.fails):
            raise RuntimeError("it fails")
        answers = []
        for question in questions:
            if self.ends is not None and sum(map(len, self.asked.values())) >= self.ends:
                raise KeyboardInterrupt
            self.asked.setdefault(case.label, []).append(question)
            answers.append(self._answered(case, question))
            told(1)
        forwards = sum(each.result.nfe for each in answers)
        return Sample(
            answers=tuple(answers), seconds=forwards / 10, forwards=forwards, rows=case.rows, peak_memory=None
        )

    def _answered(self, case: Case, question: Question) -> Answered:
        number = self.numbers.setdefault(id(question), len(self.numbers))
        threshold: Any = case.parameters.get("threshold")
        right = self.knows and number % 10 != 0 and (threshold is None or threshold >= 0.7 or number % 4 != 0)
        nfe = TOKENS if threshold is None else round(TOKENS * threshold / 2)
        text = (question.expected or "") if right else "no answer"
        result: Any = SimpleNamespace(text=text, nfe=nfe, completion_tokens=TOKENS, finish_reason=self.finish)
        return Answered(question=question, result=result, committed=TOKENS, first_text=None)
