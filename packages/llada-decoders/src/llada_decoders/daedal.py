"""DAEDAL, variable-length denoising: an answer begins short, grows until the network foresees its end, and
later where it is most in doubt.

Source: arXiv 2508.00819; ``generate`` of Li-Jinsong/DAEDAL @ 303c9e9, ``models/LLaDA_DAEDAL.py``. Kept of it:
the confidence in the end is divided by ``eos_check_tokens``, however few end tokens are foreseen; what is
appended once the end is foreseen are end tokens, which count as written; blocks are counted from the prompt
on the answer of the moment, so that masks that are put in push others into the next block; what comes to
stand behind ``gen_length`` positions is gone; guidance begins with the blocks. Left out: that guidance fails
once an answer has grown; a proposed mask token, for which it takes another; several rows padded to one
length.

An answer grows at masks only, so that nothing moves that has no mask before it: a row may end at its end
token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Network, Plan, Policy, Proposed, Rule, Sequence

from .declared.daedal import ALGORITHM, PARAMETERS
from .guidance import Guided
from .sequences import answered, partner
from .thresholds import Above

__all__ = ["DaedalGeneration", "FindsLength", "Surer"]

_NO_BLANKS = "it finds the length of its answer, and a template says where each blank ends"
_NO_END = "it looks for the end of its answer, and the model's config names no end token"


class DaedalGeneration(FastDLLMGeneration):
    """Upstream's ``generate``."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS
    tried_with: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "gen_length": 24,
            "initial_gen_length": 6,
            "eos_check_tokens": 2,
            "eos_confidence_threshold": 0.2,
            "low_conf_threshold": 0.6,
        }
    )

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return FindsLength(
            params["cfg_scale"],
            block_length=params["block_length"],
            expansion=params["expansion_factor"],
            looked_for=params["eos_check_tokens"],
            enough=params["eos_confidence_threshold"],
            certain=params["expand_eos_confidence_threshold"],
            doubt=params["low_conf_threshold"],
        )

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Surer(params["high_conf_threshold"])

    def first_length(self, params: Mapping[str, Any]) -> int:
        return min(params["initial_gen_length"], params["gen_length"])

    def infill_reason(self) -> str | None:
        """Why no template is filled: its positions are given."""
        return _NO_BLANKS

    def unfit_reason(self, model: Network) -> str | None:
        """Why it would misread the network, or why there is no end that it could find."""
        return super().unfit_reason(model) or (None if model.config.eos_ids else _NO_END)


@dataclass(slots=True)
class Found:
    """Whether the length that an answer begins to be decoded with has been found."""

    length: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FindsLength(Guided):
    """Every forward covers the whole canvas, and all logits of the answer are looked at for its end.

    First nothing is decided: ``expansion`` masks are appended at a time, until the confidence in the end is
    ``enough``. Then blocks are decoded; where that confidence is below ``certain``, ``expansion`` masks come
    in the place of the weakest one that is less confident than ``doubt`` and was not filled.
    """

    block_length: int
    expansion: int
    looked_for: int
    enough: float
    certain: float
    doubt: float

    def begin(self) -> Found:
        return Found()

    def plan(self, sequence: Sequence) -> Plan:
        if not sequence.policy_state.length:
            return Plan(lo=0, hi=sequence.length, targets=(0, 0), look=_answer(sequence))
        plan = Guided.plan(self, sequence) if self.scale else Plan(lo=0, hi=sequence.length)
        return replace(plan, look=_answer(sequence) if sequence.room else None)

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        partner(self, sequence.rule, Surer)
        if plan.look is None or answered(sequence):
            return
        end = network.config.eos_ids[0]
        confidence = self._confidence(logits, end)
        if sequence.policy_state.length:
            self._expand(sequence, confidence)
        else:
            self._grow(sequence, confidence, end)
        sequence.end_block(min(sequence.block_start + self.block_length, sequence.length))

    def _confidence(self, logits: Tensor, end: int) -> float:
        """How sure the network is of the answer's end, by its ``logits [G, V]``.

        The probabilities of the last end tokens that are the likeliest of their column, by ``looked_for``.
        """
        foreseen = (logits.argmax(-1) == end).nonzero()[-self.looked_for :, 0]
        sure: Tensor = logits[foreseen].softmax(-1)[:, end]
        return float(sure.sum()) / self.looked_for

    def _grow(self, sequence: Sequence, confidence: float, end: int) -> None:
        """Append masks, or, where the end is foreseen or there is no room, the first end tokens."""
        last, found = sequence.answer_end, confidence >= self.enough or not sequence.room
        count = min(self.looked_for // 2 if found else self.expansion, sequence.room)
        sequence.policy_state.length = found
        if count:
            sequence.insert(last, count)
        if count and found:
            sequence.end_answer(last, end)

    def _expand(self, sequence: Sequence, confidence: float) -> None:
        """Put masks in behind the weakest one that is left in the block, where it is weak enough."""
        start, sure = sequence.rule_state.start, sequence.rule_state.sure
        left = [(sure[column - start], column) for column in sequence.open_columns]
        weakest, column = min(left, default=(1.0, 0))
        if weakest < self.doubt and confidence < self.certain and self.expansion > 1:
            sequence.insert(column + 1, self.expansion - 1)


def _answer(sequence: Sequence) -> tuple[int, int]:
    """The columns of the answer."""
    return sequence.prompt_length, sequence.answer_end


@dataclass(slots=True)
class Sure:
    """How probable the last forward found what it proposed: a number for each column from ``start`` on."""

    start: int = 0
    sure: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Surer(Above):
    """`Above`, which remembers what it ranks, for what is put in where none was kept."""

    def begin(self) -> Sure:
        return Sure()

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        sure = torch.cat([row.confidence for row in rows]).cpu()
        for row, own in zip(rows, sure.split([len(row.tokens) for row in rows]), strict=True):
            state: Sure = row.sequence.rule_state
            state.start, state.sure = row.sequence.block_start, tuple(own.tolist())
        return [None for _ in rows]
