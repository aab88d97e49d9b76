"""Algorithms that are one call, as an open loop: a step runs one group of rows to their end.

Rows share a call where their algorithm and parameters are the same.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.generation.answers import problem_of
from llada_core.generation.jobs import Decoder
from llada_core.generation.prompts import Limits, check_prompt
from llada_core.generation.results import Answer
from llada_core.generation.steps import Row, Step, StepLoop, Ticket

__all__ = ["Call", "CallLoop", "Calls"]


class Call:
    """A row whose answer comes all at once. Raises ``PromptError`` and ``ParameterError`` for what cannot
    fit."""

    columns = 0

    def __init__(
        self,
        algorithm: Decoder,
        prompt_ids: Sequence[int],
        parameters: Mapping[str, object],
        limits: Limits,
    ) -> None:
        width = parameters.get("gen_length")
        asked = width if isinstance(width, int) else None
        check_prompt(prompt_ids, limits, gen_length=asked)
        self.algorithm, self.prompt_ids, self.parameters = algorithm, tuple(prompt_ids), parameters
        self.group: Hashable = (type(algorithm), algorithm.name, repr(sorted(parameters.items())))
        self.asked, self.prompt_length, self.gen_length = asked, len(prompt_ids), asked or 0
        self.limits, self.mask_id = limits, limits.mask_id
        masks = [] if self.mask_id is None else [self.mask_id] * self.gen_length
        self.canvas: list[int] = [*prompt_ids, *masks]
        self.nfe = 0
        self.cancelled = False
        self.warnings: tuple[str, ...] = ()
        self.ticket = Ticket(self)

    def write(self, answer: Answer) -> Step:
        """The final step of the row, whose answer this is."""
        self.canvas = [*self.prompt_ids, *answer.token_ids]
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
    """Calls on ``model``, a network: ``rows`` of them in flight and in a group at most."""

    def __init__(self, model: Any, *, rows: int) -> None:
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
        began = time.perf_counter()
        for call in group:
            call.ticket.admitted = began  # until then it waited, in the loop or before
        try:
            answers = self._answers(group)
        except BaseException as exc:  # an algorithm may raise anything; it is its row's error
            fault = fault_of(exc)
            if len(group) == 1:
                return [Step.last(group[0].ticket, error=fault)]
            return [step for call in group for step in self._run([call])]
        return [_written(call, answer) for call, answer in zip(group, answers, strict=True)]

    def _answers(self, group: Sequence[Call]) -> list[Answer]:
        first = group[0]
        prompts = [call.prompt_ids for call in group]
        # Copies: what an algorithm does to them is nothing to its rows.
        answers = first.algorithm.answered(self._model, prompts, dict(first.parameters))
        if not isinstance(answers, list | tuple) or len(answers) != len(group):
            told = len(answers) if isinstance(answers, list | tuple) else f"a {type(answers).__name__}: no"
            raise ContractError(
                f"it returned {told} answers for {len(group)} prompts; "
                "its answers must return one Answer a prompt, in their order"
            )
        return list(answers)


class Calls:
    """What runs an ``algorithm`` whose ``generate`` or ``answers`` is its own."""

    loop_class: ClassVar[type[StepLoop]] = CallLoop

    def __init__(self, algorithm: Decoder) -> None:
        self._algorithm = algorithm

    def sequence(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, Any]) -> Call:
        """A row ready to be admitted. Raises ``PromptError`` and ``ParameterError`` for what cannot fit."""
        return Call(self._algorithm, prompt_ids, params, Limits.of(getattr(model, "config", None)))

    def open_loop(self, model: Any, *, rows: int, columns: int | None = None) -> CallLoop:
        """A loop of calls; nothing is known of what they cache."""
        return CallLoop(model, rows=rows)


def _written(call: Call, answer: object) -> Step:
    problem = problem_of(answer, call.limits, gen_length=call.asked)
    if problem is not None:
        return Step.last(call.ticket, error=ContractError(problem))
    assert isinstance(answer, Answer)
    return call.write(answer)
