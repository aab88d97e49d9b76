"""Which proposals are kept: Dream's schedule in time, its draw by chance, and Fast-dLLM's capped threshold.

Sources: the published ``_sample`` of Dream-v0 for `Timed` and `ByChance`; Fast-dLLM's
``dream/model/generation_utils.py`` for `CappedThreshold` and ``generation_utils_block.py`` for the seeded
schedule. Of equally sure positions the leftmost goes first, where upstream leaves it to ``torch.topk``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from llada_runtime import Ranked, Rule, Sequence, Threshold, kept_first, rules_of

from .sampling import Confidence

__all__ = [
    "ByChance",
    "CappedThreshold",
    "MeasuredCappedThreshold",
    "MeasuredThreshold",
    "Timed",
    "kept_at",
    "share_at",
]

_COLDEST = 1e-290  # below, a confidence divided by it would be infinite
_LEAST = torch.finfo(torch.float64).tiny  # of a uniform draw, whose logarithm is taken


@functools.lru_cache(maxsize=64)
def _shares(steps: int, eps: float) -> Tensor:
    """``1 - t[i+1] / t[i]`` for each step, of the times t that fall evenly from 1 to ``eps``.

    float32 ``[steps]`` on the CPU, whatever the model's device: a number of tokens is cut off from a product
    of these, and what another device rounds otherwise would move a token to another step.
    """
    times = torch.linspace(1, eps, steps + 1, dtype=torch.float32, device="cpu")
    return 1 - times[1:] / times[:-1]


def share_at(step: int, *, steps: int, eps: float) -> float:
    """The part of the masks that step ``step`` of ``steps``, from 0 on, fills on average; the last fills
    all."""
    return 1.0 if step >= steps - 1 else float(_shares(steps, eps)[step])


def kept_at(step: int, masks: int, *, steps: int, eps: float) -> int:
    """How many of ``masks`` the step fills: its share, cut off to a whole number as a float32 product is."""
    if step >= steps - 1:
        return masks
    return int(torch.tensor(masks, dtype=torch.float32, device="cpu") * _shares(steps, eps)[step])


@dataclass(frozen=True, slots=True)
class Timed(Rule):
    """The surest positions, as many as the step's share of the masks in the block.

    That may be none: with more steps than masks most forwards fill nothing, as published.

    Attributes:
        confidence: what positions are ranked by.
        steps, eps: of a block's schedule.
        alg_temp: above 0 the positions are drawn, without replacement, by softmax(confidence / alg_temp).
        seeded: the block's first forward has one target and fills it; the schedule's first step is skipped
            for it. Where that is its only one, the forward behind it fills the rest; upstream leaves masks.
    """

    confidence: Confidence
    steps: int
    eps: float
    alg_temp: float = 0.0
    seeded: bool = False

    idles: ClassVar[bool] = True

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        if not self.alg_temp:
            return None if self.confidence.plain else self.confidence.of(logits, tokens)
        # The n highest of such noisy scores are a draw without replacement (Gumbel's top-k trick).
        sure = self.confidence.of(logits, tokens) / max(self.alg_temp, _COLDEST)
        return sure - _uniform(len(tokens), sequence, logits.device).log_().neg_().log_()

    def _count(self, sequence: Sequence) -> int:
        if self.seeded and sequence.block_nfe == 0:
            return 1
        masks = len(sequence.open_columns)
        return kept_at(sequence.block_nfe, masks, steps=self.steps, eps=self.eps)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rows = zip(rules_of(sequences, cls), sequences, strict=True)
        return torch.tensor([[rule._count(sequence)] for rule, sequence in rows], dtype=torch.float64)

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        order = scores.sort(dim=-1, descending=True, stable=True).indices
        return kept_first(order, parameters, open_)


@dataclass(frozen=True, slots=True)
class ByChance(Rule):
    """Each mask by itself, with the step's share as its probability: Dream's ``origin``.

    Which they are is drawn from the row's own stream, at temperature 0 too; that may be none.
    """

    steps: int
    eps: float

    idles: ClassVar[bool] = True

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        return -_uniform(len(tokens), sequence, logits.device)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rows = zip(rules_of(sequences, cls), sequences, strict=True)
        shares = [[share_at(row.block_nfe, steps=rule.steps, eps=rule.eps)] for rule, row in rows]
        return torch.tensor(shares, dtype=torch.float64)

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        return (scores > -parameters) & open_


@dataclass(frozen=True, slots=True)
class MeasuredThreshold(Ranked, Threshold):
    """`Threshold` on a confidence of Dream's."""

    confidence: Confidence


@dataclass(frozen=True, slots=True)
class CappedThreshold(Threshold):
    """`Threshold`, and at most the forward's share of the masks, with what earlier ones left of theirs.

    The masks are spread over ``steps`` as evenly as can be, the first shares being the larger ones; behind
    the last step nothing is left out but what is not sure enough.
    """

    steps: int

    def _cap(self, sequence: Sequence) -> int:
        masks, done = sequence.block_open, sequence.block_nfe + 1
        each, over = divmod(masks, self.steps)
        due = masks if done >= self.steps else done * each + min(done, over)
        return due - (masks - len(sequence.open_columns))

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rows = zip(rules_of(sequences, cls), sequences, strict=True)
        values = [[rule.threshold, rule._cap(sequence)] for rule, sequence in rows]
        return torch.tensor(values, dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        sure = (ranked >= parameters[:, :1]).sum(-1)
        return torch.minimum(sure, parameters[:, 1].long())


@dataclass(frozen=True, slots=True)
class MeasuredCappedThreshold(Ranked, CappedThreshold):
    """`CappedThreshold` on a confidence of Dream's."""

    confidence: Confidence


def _uniform(count: int, sequence: Sequence, device: torch.device) -> Tensor:
    """``count`` draws above 0 and below 1 from the row's own stream, float64."""
    generator = sequence.generator(device)
    drawn = torch.rand(count, dtype=torch.float64, device=device, generator=generator)
    return drawn.clamp_(min=_LEAST)
