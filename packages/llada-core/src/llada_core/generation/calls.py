"""Algorithms that are one call, as an open loop: a step runs one group of rows to their end.

Rows share a call where their algorithm and parameters are the same.
"""

from __future__ import annotations

import reprlib
import time
from collections.abc import Hashable, Sequence

from llada_core.errors import ContractError
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.prompts import check_prompt
from llada_core.generation.results import Answer
from llada_core.generation.steps import Row, Step, StepLoop, Ticket

__all__ = ["Call", "CallLoop"]


class Call:
    """A row whose answer comes all at once. Raises ``PromptError`` and ``ParameterError`` for what cannot
    fit."""

    columns = 0

    def __init__(self, job: Job, model: Model) -> None:
        width = job.parameters.get("gen_length")
        asked = width if isinstance(width, int) else None
        check_prompt(job.prompt_ids, model.limits, gen_length=asked)
        self.job = job
        self.group: Hashable = (type(job.algorithm), job.algorithm.name, repr(sorted(job.parameters.items())))
        self.prompt_length, self.gen_length = len(job.prompt_ids), asked or 0
        self.mask_id = model.limits.mask_id
        masks = [] if self.mask_id is None else [self.mask_id] * self.gen_length
        self.canvas: list[int] = [*job.prompt_ids, *masks]
        self.nfe = 0
        self.cancelled = False
        self.warnings: tuple[str, ...] = ()
        self.ticket = Ticket(self, index=job.index)

    def write(self, answer: Answer) -> Step:
        """The final step of the row, whose answer this is."""
        self.canvas = [*self.job.prompt_ids, *answer.token_ids]
        self.gen_length, self.nfe, self.warnings = len(answer.token_ids), answer.nfe, answer.warnings
        return Step(
            ticket=self.ticket,
            block=0,
            positions=tuple(range(self.gen_length)),
            tokens=answer.token_ids,
            confidence=(),
            nfe=self.nfe,
            settled=self.gen_length,
            finished=True,
        )


class CallLoop(StepLoop):
    """Calls on ``model``, ``rows`` of them in flight and in a group at most."""

    def __init__(self, model: Model, *, rows: int) -> None:
        self._model, self._rows = model, rows
        self._calls: list[Call] = []

    @property
    def room(self) -> int:
        return self._rows - len(self._calls)

    @property
    def active(self) -> int:
        return len(self._calls)

    def refusal(self, row: Row) -> None:
        return None

    def admit(self, row: Row) -> bool:
        assert isinstance(row, Call)
        if self.room:
            self._calls.append(row)
        return row in self._calls

    def cancel(self, row: Row) -> None:
        assert isinstance(row, Call)
        row.cancelled = True

    def step(self) -> list[Step]:
        """The answers of one group: that of the row that waits longest."""
        gone = [call for call in self._calls if call.cancelled]
        left = [call for call in self._calls if not call.cancelled]
        group = [call for call in left if call.group == left[0].group]
        steps = [Step.last(call.ticket) for call in gone] + self._run(group)
        # Not before: where Ctrl-C ends a call, its rows are in flight all the same.
        self._calls = [call for call in left if call not in group]
        return steps

    def _run(self, group: Sequence[Call]) -> list[Step]:
        """The final steps of the rows of one call; where it fails, of each row in a call of its own."""
        if not group:
            return []
        if not group:
            return []
        began = time.perf_counter()
        for call in group:
            call.ticket.admitted = began  # until then it waited, in the loop or before
        try:
            answers = self._answers(group)
        except Exception as exc:  # an algorithm may raise anything; it is its row's error
            if len(group) == 1:
                return [Step.last(group[0].ticket, error=exc)]
            return [step for call in group for step in self._run([call])]
        return [self._written(call, answer) for call, answer in zip(group, answers, strict=True)]

    def _answers(self, group: Sequence[Call]) -> list[Answer]:
        job = group[0].job
        prompts = [call.job.prompt_ids for call in group]
        answers = list(job.algorithm.answers(self._model.network, prompts, job.parameters))
        if len(answers) != len(group):
            raise ContractError(
                f"it returned {len(answers)} answers for {len(group)} prompts; "
                "its answers must return one Answer a prompt, in their order"
            )
        return answers

    def _written(self, call: Call, answer: object) -> Step:
        problem = self._problem(answer)
        if problem is None:
            assert isinstance(answer, Answer)
            return call.write(answer)
        return Step.last(call.ticket, error=ContractError(problem))

    def _problem(self, answer: object) -> str | None:
        """What is wrong with an answer, ending with what its algorithm must do; None where nothing is."""
        if not isinstance(answer, Answer):
            return f"it answered {reprlib.repr(answer)}; its answers must return one Answer a prompt"
        ids, mask = answer.token_ids, self._model.limits.mask_id
        if not isinstance(ids, tuple) or not all(type(token) is int for token in ids):
            return f"its Answer holds {reprlib.repr(ids)}; token_ids must be a tuple of integers"
        if mask in ids:
            return (
                f"it left the mask token (id {mask}) in an answer; "
                "its generate must fill every position before the end token"
            )
        return None
