"""dInfer's commit rules: threshold with its near-tie band, hierarchy, and credit.

Source: inclusionAI/dInfer, ``parallel_strategy.py`` (arXiv 2510.08666; credit: arXiv 2510.06133). Confidences
are compared in float32, as upstream does in its default mode. The mask token is never proposed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_runtime import BestFirst, Rule, Sequence, policy_of, quotas, rules_of

from .iteration import Iteration

__all__ = ["Credit", "CreditQuota", "CreditThreshold", "Hierarchy", "NearTieThreshold"]

_NEAR_TIE = 1e-5


@dataclass(frozen=True, slots=True)
class NearTieThreshold(BestFirst):
    """Every proposal at least ``threshold`` confident; if none is, the best and those within 1e-5."""

    threshold: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return _at_iteration(sequences, [rule.threshold for rule in rules_of(sequences, cls)])

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return _near_tie_counts(parameters, ranked)


def _near_tie_counts(thresholds: Tensor, ranked: Tensor) -> Tensor:
    """How many of the ``ranked [R, L]`` pass: ``thresholds`` are ``[R, 1]``."""
    confidence = ranked.float()
    cut = torch.minimum(confidence[:, :1] - _NEAR_TIE, thresholds.float())
    return (confidence >= cut).sum(-1)


@dataclass(frozen=True, slots=True)
class Hierarchy(Rule):
    """The best of every unbroken run of masks if it is above ``low_threshold``, and all above ``threshold``.

    The best of the whole block is always kept. Positions of a run that are equally confident in
    float32 are all its best.
    """

    threshold: float | None
    low_threshold: float | None

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rules = rules_of(sequences, cls)
        low = [[-1.0 if rule.low_threshold is None else rule.low_threshold] for rule in rules]
        high = _at_iteration(sequences, [rule.threshold for rule in rules])
        return torch.cat((torch.tensor(low, dtype=torch.float64), high), dim=-1)

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        confidence = scores.float()
        low, high = parameters.float().split(1, dim=-1)
        kept = (confidence == _run_maxima(confidence, open_)) & (confidence > low)
        kept |= confidence > high
        best = confidence.argmax(-1, keepdim=True)
        return kept.scatter_(-1, best, value=True) & open_


def _run_maxima(confidence: Tensor, open_: Tensor) -> Tensor:
    """For every open position the highest confidence in its run of open positions, ``[R, L]``."""
    begins = open_.clone()
    begins[:, 1:] &= ~open_[:, :-1]
    run = begins.long().cumsum(-1)
    maxima = torch.full(
        (*run.shape[:1], run.shape[1] + 1), -1.0, dtype=confidence.dtype, device=confidence.device
    )
    maxima.scatter_reduce_(-1, run, confidence.masked_fill(~open_, -1.0), "amax")
    return maxima.gather(-1, run)


def _at_iteration(sequences: list[Sequence], thresholds: Iterable[float | None]) -> Tensor:
    """Each row's threshold as smoothing has it at this iteration, float64 ``[R, 1]``; infinite where None."""
    now = []
    for sequence, threshold in zip(sequences, thresholds, strict=True):
        policy = policy_of(sequence, Iteration)
        if threshold is not None and policy is not None and policy.smoothing is not None:
            threshold = policy.smoothing.threshold_at(sequence.policy_state.iteration, threshold)
        now.append([torch.inf if threshold is None else threshold])
    return torch.tensor(now, dtype=torch.float64)


@dataclass(slots=True)
class Ledger:
    """Credit of one block, sparse: per position the tokens that were ever the likeliest, and their credit.

    ``tokens`` int64 and ``credit`` float32 are both ``[L, K]``, K growing by at most one each forward. A free
    entry has credit 0. Upstream keeps float32 ``[L, V]`` for every block of the answer.
    """

    block: int
    tokens: Tensor
    credit: Tensor

    @classmethod
    def empty(cls, block: int, logits: Tensor) -> Ledger:
        tokens = torch.zeros(logits.shape[0], 0, dtype=torch.int64, device=logits.device)
        return cls(block, tokens, torch.zeros(tokens.shape, dtype=torch.float32, device=logits.device))

    def narrow(self, width: int) -> None:
        """Forget what is behind the first ``width`` positions: the block has come to end there."""
        self.tokens, self.credit = self.tokens[:width], self.credit[:width]

    def earn(self, tokens: Tensor, amounts: Tensor) -> None:
        """Add ``amounts [L]`` to the credit of ``tokens [L]``, one token a position."""
        known = self.tokens == tokens[:, None]
        known &= self.credit > 0
        self.credit += known * amounts[:, None]
        new = ~known.any(-1) & (amounts > 0)
        if new.any():
            self.tokens = torch.cat((self.tokens, torch.where(new, tokens, 0)[:, None]), -1)
            self.credit = torch.cat((self.credit, torch.where(new, amounts, 0)[:, None]), -1)


class Credit(BestFirst):
    """A rule whose logits are raised by credit: the likeliest token of each mask earns some every forward."""

    rescores = True

    alpha: float
    gamma: float
    beta: float

    def begin(self) -> Ledger | None:
        return None

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        ledger: Ledger | None = sequence.rule_state
        if ledger is None or ledger.block != sequence.block:
            ledger = sequence.rule_state = Ledger.empty(sequence.block, logits)
        ledger.narrow(len(logits))
        ledger.credit *= self.beta
        best, tokens = logits.max(-1)
        probability = (best - logits.logsumexp(-1)).exp()
        ledger.earn(tokens, probability.pow(self.gamma) * open_)
        logits.scatter_add_(-1, ledger.tokens, self.alpha * ledger.credit.log1p())


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditThreshold(Credit):
    """`NearTieThreshold` on logits raised by credit."""

    threshold: float
    alpha: float
    gamma: float
    beta: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return _at_iteration(sequences, [rule.threshold for rule in rules_of(sequences, cls)])

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return _near_tie_counts(parameters, ranked)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditQuota(Credit):
    """A fixed number a step, as ``Quota``, on logits raised by credit."""

    steps: int
    alpha: float
    gamma: float
    beta: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return quotas(sequences, [rule.steps for rule in rules_of(sequences, cls)])

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return parameters[:, 0].long()
