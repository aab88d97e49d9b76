"""What a policy may make of an answer besides filling it: longer, by masks that are put in, or ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from llada_core.errors import ContractError
from llada_core.generation.moved import follow
from llada_runtime.decoding.checks import check_answer_end
from llada_runtime.decoding.parts import Planner
from llada_runtime.decoding.plan import Plan
from llada_runtime.network.protocol import Network

__all__ = ["Reshaping"]


class Reshaping(ABC):
    """A `Sequence`, as far as its answer may be ended and become longer; that tells its attributes."""

    canvas: list[int]
    cached: bytearray
    cached_block: int | None
    early_stop: bool
    end_ids: frozenset[int]
    gen_length: int
    idle: int
    inserted: list[tuple[int, int]]
    longest: int
    mask_id: int
    overwritten: dict[int, int]
    policy: Planner[Any]
    prompt_length: int
    settled: int
    _fixed_end: int
    _seeing = False  # the policy, what a forward has brought

    @abstractmethod
    def _settle(self, *, full: bool = False) -> None:
        """Move on to what cannot change any more."""

    def show(self, plan: Plan, logits: Tensor, network: Network) -> None:
        """Let the policy see what a forward has brought, by its `after`. Raises what that raises."""
        self._seeing = True
        try:
            self.policy.after(self, plan, logits, network)
        finally:
            self._seeing = False

    @property
    def _stopped(self) -> bool:
        """Whether what settled last is an end-of-sequence token with nothing fixed behind it."""
        last = self.prompt_length + self.settled - 1
        stands = self.settled and self.canvas[last] in self.end_ids and last + 1 >= self._fixed_end
        return bool(self.early_stop and stands)

    def may_end(self, column: int) -> bool:
        """Whether the answer may end before ``column``: neither prompt nor fixed text is behind."""
        return max(self.prompt_length, self._fixed_end) <= column <= len(self.canvas)

    def end_answer(self, column: int, token: int) -> None:
        """Let ``token``, which ends answers, stand from ``column`` on, whatever stands there; masks before
        stay.

        For a policy that sees, `after` a forward, where the answer ends; the step tells of it. Raises
        ``ContractError`` where the answer may not end there, such a token ends none, or this is not `after`.
        """
        check_answer_end(column, token, self.end_ids, may_end=self.may_end(column))
        self._check_seeing("end_answer")
        there = enumerate(self.canvas[column:], start=column)
        self.overwritten = {at: was for at, was in there if was != token} | self.overwritten
        self.canvas[column:] = [token] * (len(self.canvas) - column)
        self._settle()

    @property
    def room(self) -> int:
        """By how many positions the answer may still grow."""
        return self.longest - self.gen_length

    def insert(self, column: int, count: int) -> None:
        """Let ``count`` masks stand from ``column`` on; what stands there and behind moves back.

        What comes to stand behind the ``longest`` answer is gone. For a policy, `after` a forward; the step
        tells of it. The block keeps its bounds, and of cached keys those from ``column`` on are not used any
        more. Raises ``ContractError`` for a column that has settled or is not on the canvas, where the answer
        has no ``room``, and where this is not `after`.
        """
        self._check(column, count)
        self._check_seeing("insert")
        end = self.prompt_length + self.longest
        count = min(count, end - column)
        self.canvas[column:column] = [self.mask_id] * count
        del self.canvas[end:]
        self.gen_length = len(self.canvas) - self.prompt_length
        self.inserted.append((column, count))
        follow(self.overwritten, [(column, count)], len(self.canvas))
        self.idle = 0
        if self.policy.caches:
            self.cached[column:] = bytes(len(self.canvas) - column)
            self.cached_block = None

    def _check(self, column: int, count: int) -> None:
        """Refuse masks that cannot be put in. Raises ``ContractError``."""
        first, last = self.prompt_length + self.settled, len(self.canvas)
        if not first <= column <= last or count < 1:
            raise ContractError(
                f"{count} masks were to be put in at column {column}; give 1 or more at one from {first}, "
                f"before which the answer has settled, to {last}"
            )
        if not self.room:
            raise ContractError(
                f"masks were to be put into an answer that has its {self.longest} positions; look at room "
                "before, or let the sequence have a larger longest"
            )

    def _check_seeing(self, name: str) -> None:
        """Refuse to change the answer where no step would tell of it. Raises ``ContractError``."""
        if not self._seeing:
            raise ContractError(
                f"{name} was called outside of a policy's after; call it there, so that the step of that "
                "forward tells of it"
            )
