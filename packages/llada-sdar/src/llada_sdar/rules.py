"""What a forward of a block keeps, by SDAR's remasking strategies.

By them the block is spread over a number of forwards, its `Schedule`; none of them keeps more than there are
masks. Where tokens are drawn, how sure one is may be its probability under the distribution that it was drawn
from (`Odds`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor

from llada_runtime import BestFirst, Filters, Ranked, Rule, Sequence, rules_of
from llada_runtime.decoding.proposals import tempered

__all__ = [
    "BoundedEntropy",
    "DrawnMostConfident",
    "DrawnSure",
    "Leftmost",
    "MostConfident",
    "Odds",
    "Schedule",
    "Sure",
    "odds_of",
]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many columns a forward of a block is to keep: ``least``, and one more in the ``longer`` first ones.

    That is counted from the block's width, whatever stands in it when it begins.
    """

    least: int
    longer: int = 0

    @classmethod
    def spread(cls, width: int, steps: int) -> Schedule:
        """A block of ``width`` columns over so many ``steps``."""
        return cls(*divmod(width, steps))

    def at(self, sequence: Sequence) -> int:
        """How many are due now: one at least, as a row must get on."""
        return max(1, self.least + (sequence.block_nfe < self.longer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """The distribution of tokens at a ``temperature`` above 0, without what ``filters`` leave out."""

    temperature: float = 1.0
    filters: Filters | None = None

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Natural logs, float64 ``[L, V]``, of ``logits [L, V]``; -inf for what cannot be drawn."""
        return tempered(logits, self.temperature, self.filters).log_softmax(-1)

    def of(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """The probability of ``tokens [L]``, float64 ``[L]``."""
        return self.log_probabilities(logits).gather(-1, tokens[:, None])[:, 0].exp()

    def entropy(self, logits: Tensor) -> Tensor:
        """The entropy of each column in nats, float64 ``[L]``."""
        logs = self.log_probabilities(logits)
        return -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(-1)


@dataclass(frozen=True)
class MostConfident(BestFirst):
    """``low_confidence_static``: as many as the schedule says, the most confident ones."""

    schedule: Schedule

    def keeps(self, sequence: Sequence) -> int | None:
        return self.schedule.at(sequence)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return _due(sequences, [rule.schedule for rule in rules_of(sequences, cls)])

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return parameters[:, 0].long()


@dataclass(frozen=True)
class Sure(MostConfident):
    """``low_confidence_dynamic``: all that are more confident than ``threshold`` where these are as many as
    the schedule says, else so many of the most confident. A threshold of None is above all."""

    threshold: float | None

    def keeps(self, sequence: Sequence) -> int | None:
        return None if self.threshold is not None else super().keeps(sequence)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rules = rules_of(sequences, cls)
        limits = [[inf if rule.threshold is None else rule.threshold] for rule in rules]
        due = _due(sequences, [rule.schedule for rule in rules])
        return torch.cat((due, torch.tensor(limits, dtype=torch.float64)), dim=1)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        due, above = parameters[:, 0].long(), (ranked > parameters[:, 1:]).sum(-1)
        return torch.maximum(due, above)


@dataclass(frozen=True)
class DrawnMostConfident(Ranked, MostConfident):
    """The same by the probability of tokens as they are drawn."""

    confidence: Odds


@dataclass(frozen=True)
class DrawnSure(Ranked, Sure):
    """The same by the probability of tokens as they are drawn."""

    confidence: Odds


@dataclass(frozen=True)
class Leftmost(Rule):
    """``sequential``: as many as the schedule says, from the first mask on."""

    schedule: Schedule

    def keeps(self, sequence: Sequence) -> int:
        return self.schedule.at(sequence)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return _due(sequences, [rule.schedule for rule in rules_of(sequences, cls)])

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        return open_ & (open_.cumsum(-1) <= parameters)


@dataclass(frozen=True)
class BoundedEntropy(BestFirst):
    """``entropy_bounded``: the columns of least entropy whose entropies together stay below ``limit``, and
    one at least. Without a reference: SDAR's own code fails before it chooses (see the algorithm)."""

    limit: float
    odds: Odds

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        return -self.odds.entropy(logits)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return torch.tensor([[rule.limit] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return ((-ranked).cumsum(-1) < parameters).sum(-1)


def odds_of(params: Mapping[str, Any], filters: Filters | None) -> Odds:
    """The odds that effective ``params`` describe; at temperature 0, where nothing is drawn, the raw ones."""
    temperature = params.get("temperature") or 0.0
    return Odds(temperature=temperature, filters=filters) if temperature else Odds()


def _due(sequences: list[Sequence], schedules: list[Schedule]) -> Tensor:
    """What each row's schedule says now, float64 ``[R, 1]``."""
    due = [[schedule.at(sequence)] for schedule, sequence in zip(schedules, sequences, strict=True)]
    return torch.tensor(due, dtype=torch.float64)
