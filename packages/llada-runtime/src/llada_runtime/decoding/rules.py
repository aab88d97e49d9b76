"""Commit rules: which of a block's proposals become tokens now.

Rules see all rows of a call that use them at once, ``[R, L]``, with each row's own parameters. Those here
are Fast-dLLM's (arXiv 2505.22618, Algorithm 1 and Theorem 1; the quota is LLaDA's, arXiv 2502.09992). Each
keeps the ``n`` most confident open positions of a row; they differ in ``n``. Of equally confident
positions the leftmost goes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from llada_runtime.decoding.sequence import Sequence

__all__ = ["BestFirst", "Factor", "Quota", "Rule", "Threshold", "quotas", "rules_of"]


class Rule(ABC):
    """What an algorithm supplies to choose among proposals.

    One object may serve many sequences: it holds parameters, and what changes during generation is in the
    sequence, in ``rule_state`` if nowhere else.
    """

    rescores: ClassVar[bool] = False
    """Whether `rescore` is to be called; the block's logits are float32 then."""

    def begin(self) -> Any:
        """What a new sequence starts with as its ``rule_state``."""
        return None

    def rescore(  # noqa: B027  # a hook, not abstract: most rules do nothing here
        self, sequence: Sequence, logits: Tensor, open_: Tensor
    ) -> None:
        """Change the block's logits, float32 ``[L, V]``, in place, before tokens are proposed from them.

        ``open_`` is bool ``[L]``; the mask token's logit is -inf already.
        """

    @classmethod
    @abstractmethod
    def select(cls, sequences: Sequence_[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        """Which proposals to keep, bool ``[R, L]``.

        At least one open position of every row that has any, or the sequence would never end.

        Args:
            sequences: the R rows; their ``rule`` attributes are all of this class.
            scores: float64 ``[R, L]``, the confidence of each proposal; -1 where not open.
            open_: bool ``[R, L]``; False on tokens that stand and beyond a shorter block.
        """


RuleT = TypeVar("RuleT", bound=Rule)


def rules_of(sequences: Sequence_[Sequence], kind: type[RuleT]) -> list[RuleT]:
    """The sequences' rules, which are all of class ``kind``."""
    rules = [sequence.rule for sequence in sequences]
    assert all(isinstance(rule, kind) for rule in rules)
    return rules  # type: ignore[return-value]


def quotas(sequences: Sequence_[Sequence], steps: Sequence_[int]) -> Tensor:
    """How many positions each sequence's schedule of ``steps`` a block commits now, int64 ``[R]``."""
    shares = [
        sequence.block_open // count + (sequence.block_nfe < sequence.block_open % count)
        for sequence, count in zip(sequences, steps, strict=True)
    ]
    return torch.tensor(shares)


class BestFirst(Rule):
    """A rule that keeps the ``n`` most confident proposals of each row; a subclass counts them."""

    @classmethod
    @abstractmethod
    def counts(cls, sequences: Sequence_[Sequence], ranked: Tensor, open_counts: Tensor) -> Tensor:
        """How many to keep, int64 ``[R]``.

        ``ranked`` are the rows' scores in descending order (closed positions last, as -1), ``open_counts``
        ``[R]`` how many of them are open.
        """

    @classmethod
    def select(cls, sequences: Sequence_[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        ranked, order = scores.sort(dim=-1, descending=True, stable=True)
        counts = cls.counts(sequences, ranked, open_.sum(-1)).clamp(min=1)
        best = torch.arange(scores.shape[-1]) < counts[:, None]
        return torch.empty_like(open_).scatter_(-1, order, best) & open_


@dataclass(frozen=True, slots=True)
class Quota(BestFirst):
    """A fixed number a step: the block's masks spread over ``steps``, the first taking one more."""

    steps: int

    @classmethod
    def counts(cls, sequences: Sequence_[Sequence], ranked: Tensor, open_counts: Tensor) -> Tensor:
        return quotas(sequences, [rule.steps for rule in rules_of(sequences, cls)])


@dataclass(frozen=True, slots=True)
class Threshold(BestFirst):
    """Every proposal at least ``threshold`` confident, and in any case the best one."""

    threshold: float

    @classmethod
    def counts(cls, sequences: Sequence_[Sequence], ranked: Tensor, open_counts: Tensor) -> Tensor:
        cut = torch.tensor([[rule.threshold] for rule in rules_of(sequences, cls)], dtype=torch.float64)
        return (ranked >= cut).sum(-1)


@dataclass(frozen=True, slots=True)
class Factor(BestFirst):
    """As many as their confidence c allows: the proposal of rank r ≥ 2 needs c ≥ 1 - factor/(r + 1).

    Counting stops at the first that fails. As upstream has it, a last candidate that would be left alone is
    kept as well; the paper's theorem has neither the "≥" nor that exception.
    """

    factor: float

    @classmethod
    def counts(cls, sequences: Sequence_[Sequence], ranked: Tensor, open_counts: Tensor) -> Tensor:
        factors = torch.tensor([[rule.factor] for rule in rules_of(sequences, cls)], dtype=torch.float64)
        rank = torch.arange(1, ranked.shape[-1] + 1)
        passes = (ranked >= 1 - factors / (rank + 1)) & (rank <= open_counts[:, None])
        passes[:, 0] = True
        kept = passes.long().cumprod(-1).sum(-1)
        return torch.where(kept == open_counts - 1, open_counts, kept)
