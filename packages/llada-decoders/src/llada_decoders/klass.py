"""``klass``: a token is taken once it is sure and the network has stopped changing its mind about it.

Source: KLASS, KL-adaptive stability sampling (arXiv 2511.05664; shkim0116/KLASS @ ad87ecb,
``src/model/llada_klass.py``, ``stable_confident_decode`` with ``alg="klass"``, which is no parameter here).

Kept of upstream: what is known of a position runs on from block to block, so that the first forward of a
block is compared with the last one of the block before; a step that finds fewer ready positions than its
share writes these alone. Not kept: masks that are left in a block when its steps are used up (the schedule
goes on, one a step at least); columns that are overwritten where a share is larger than what is left; noise
in the distributions at a temperature above 0, where it draws tokens and nothing else; float64 distributions
of the whole canvas, of which those of two blocks decide; the mask token in any distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from llada_core import ContractError
from llada_core.parameters import steps_a_block
from llada_fastdllm import FastDLLMGeneration
from llada_runtime import (
    Around,
    BestFirst,
    Network,
    NoCache,
    Plan,
    Policy,
    Rule,
    Sequence,
    probability,
    quotas,
    rules_of,
)

from .declared.klass import ALGORITHM, PARAMETERS
from .sequences import partner

__all__ = ["KLASSGeneration", "LooksAhead", "Seen", "Stable", "divergence", "stable"]

_EPS = 1e-12  # within logarithms, as published
_ROWS = 64  # positions whose float64 distributions exist at a time

Strategy = Literal["all", "max_conf", "min_kl", "random"]


def divergence(logits: Tensor, before: Tensor) -> Tensor:
    """How far distributions have moved: KL(now, before) in nats, float64 ``[L]`` of ``logits [L, V]``.

    ``before [K, V]`` are the logits of the first K ≤ L positions a forward ago. Of the others nothing is
    known; their distribution counts as 0 everywhere, from which any other is far.
    """
    moved = []
    for first in range(0, len(logits), _ROWS):
        now = logits[first : first + _ROWS].double().softmax(-1)
        then = torch.zeros_like(now)
        known = before[first : first + _ROWS]
        then[: len(known)] = known.double().softmax(-1)
        moved.append((now * ((now + _EPS).log() - (then + _EPS).log())).sum(-1))
    return torch.cat(moved)


@dataclass(slots=True)
class Seen:
    """What the last forwards said of a sequence's columns.

    Attributes:
        start: first column of which the last forward is known.
        logits: ``[columns, V]`` of it; None before the first. They stay on the network's device.
        block: the block that ``recent`` is of.
        recent: how far its positions moved in its last forwards, float64 ``[L]`` each, the latest last.
    """

    start: int = 0
    logits: Tensor | None = None
    block: int = -1
    recent: list[Tensor] = field(default_factory=list)

    def note(self, sequence: Sequence, logits: Tensor, *, most: int) -> None:
        """Compare the ``logits [L, V]`` of the current block with those before, and keep them.

        Of what is ``recent``, ``most`` forwards are remembered.
        """
        start = sequence.block_start
        if self.block != sequence.block:
            self.block, self.recent = sequence.block, []
        before = logits[:0] if self.logits is None else self.logits[start - self.start :]
        moved = divergence(logits, before[: len(logits)])
        self.recent = [*self.recent, moved][-most:]
        self.start, self.logits = start, logits.clone()

    def see_behind(self, logits: Tensor, mask_id: int) -> None:
        """Keep the ``logits [columns, V]`` of what follows the columns that are known, too."""
        assert self.logits is not None, "a forward's block is noted before what is behind it"
        behind = logits.to(self.logits, copy=True)
        behind[:, mask_id] = -torch.inf
        self.logits = torch.cat((self.logits, behind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable(BestFirst):
    """Positions that are sure and have stood still; where there is none, the share of a schedule.

    A position is ready if its token's probability is above ``conf_threshold`` and its distribution moved by
    less than ``kl_threshold`` nats in each of the block's last ``history`` forwards, this one included. Of
    those the ``strategy`` takes all or one. It looks at the current block; how that stood in the last forward
    of the block before it knows by `LooksAhead`, and else begins anew with each block.

    Attributes:
        steps: of the schedule, a block.
    """

    steps: int
    conf_threshold: float
    kl_threshold: float
    history: int
    strategy: Strategy

    def begin(self) -> Seen:
        return Seen()

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        """Above 0 where a position is ready, by the strategy's order; else its confidence less 1."""
        if len(tokens) != sequence.block_end - sequence.block_start:
            raise ContractError(
                f"{type(self).__name__} was asked about {len(tokens)} columns, and compares those of a "
                "block; plan targets that are the block"
            )
        seen: Seen = sequence.rule_state
        seen.note(sequence, logits, most=self.history)
        sure = probability(logits, tokens)
        ready = sure > self.conf_threshold
        if len(seen.recent) < self.history:
            return sure - 1
        for moved in seen.recent:
            ready &= moved[: len(ready)] < self.kl_threshold
        return torch.where(ready, self._order(sequence, sure, seen.recent[-1]), sure - 1)

    def _order(self, sequence: Sequence, sure: Tensor, moved: Tensor) -> Tensor:
        """By what one of the ready positions is taken, ``[L]``, above 0."""
        if self.strategy == "min_kl":
            return (-moved).exp()
        if self.strategy == "random":
            drawn = torch.rand(
                len(sure),
                dtype=torch.float64,
                device=sure.device,
                generator=sequence.generator(sure.device),
            )
            return 1 - drawn
        return sure

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """The schedule's share of each row now, and how many ready positions it takes; float64 ``[R, 2]``."""
        rules = rules_of(sequences, cls)
        most = [[torch.inf if rule.strategy == "all" else 1] for rule in rules]
        share = quotas(sequences, [rule.steps for rule in rules])
        return torch.cat((share, torch.tensor(most, dtype=torch.float64)), dim=1)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        share, most = parameters.unbind(-1)
        ready = (ranked > 0).sum(-1)
        return torch.where(ready > 0, ready.minimum(most), share).long()


class LooksAhead(Around):
    """What ``base`` plans, which shows `Stable` the next block too that holds masks: its plans are to cover
    that."""

    def plan(self, sequence: Sequence) -> Plan:
        return replace(self.base.plan(sequence), look=(sequence.block_start, _next_end(sequence)))

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        partner(self, sequence.rule, Stable)
        width = sequence.block_end - sequence.block_start
        super().after(sequence, plan, logits[:width], network)
        seen: Seen = sequence.rule_state
        seen.see_behind(logits[width:], sequence.mask_id)


def _next_end(sequence: Sequence) -> int:
    """Column after the block that comes next, which is not one that given text fills; without any, after the
    current one."""
    end, width = sequence.block_end, sequence.block_length
    masks = (column for column in range(end, sequence.length) if sequence.canvas[column] == sequence.mask_id)
    first = next(masks, None)
    if first is None:
        return end
    return min(first + width - (first - end) % width, sequence.length)


class KLASSGeneration(FastDLLMGeneration):
    """Upstream's ``stable_confident_decode``: the whole canvas every step, block by block."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return LooksAhead(NoCache())

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return stable(params)


def stable(params: Mapping[str, Any]) -> Stable:
    """The rule of effective ``params``."""
    return Stable(
        steps=steps_a_block(params),
        conf_threshold=params["conf_threshold"],
        kl_threshold=params["kl_threshold"],
        history=params["kl_history_length"],
        strategy=params["unmask_strategy"],
    )
