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
from dataclasses import dataclass, replace
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
    Proposed,
    Rule,
    Sequence,
    quotas,
    rules_of,
)

from .declared.klass import ALGORITHM, PARAMETERS
from .divergence import divergence
from .seen import Seen
from .sequences import partner

__all__ = ["KLASSGeneration", "LooksAhead", "Seen", "Stable", "stable"]

Strategy = Literal["all", "max_conf", "min_kl", "random"]


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

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        """Above 0 where a position is ready, by the strategy's order; else its confidence less 1.

        Whoever asks again of a forward, as where a subclass raises for a row beside, has the same answer.
        """
        widths = [_width(row) for row in rows]
        fresh = [row for row in rows if _seen(row).at != row.sequence.nfe]
        if fresh:
            _note(fresh, [_width(row) for row in fresh])
        scores = torch.cat([_seen(row).answer() for row in rows])  # a copy, which may be changed in place
        return [*scores.split_with_sizes(widths)]

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """The schedule's share of each row now, and how many ready positions it takes; float64 ``[R, 2]``.

        Raises ``ContractError`` for a row whose order is left to chance.
        """
        for sequence in sequences:
            _refuse_chance(sequence)
        rules = rules_of(sequences, cls)
        most = [[torch.inf if rule.strategy == "all" else 1] for rule in rules]
        share = quotas(sequences, [rule.steps for rule in rules])
        return torch.cat((share, torch.tensor(most, dtype=torch.float64)), dim=1)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        share, most = parameters.unbind(-1)
        ready = (ranked > 0).sum(-1)
        return torch.where(ready > 0, ready.minimum(most), share).long()


def _note(rows: list[Proposed], widths: list[int]) -> None:
    """Score the rows, none of which has been asked of its forward, and note that; all or none."""
    _enter(rows)
    sure, logits = torch.cat([row.confidence for row in rows]), torch.cat([row.logits for row in rows])
    moved = divergence(logits, [_seen(row).before(row) for row in rows], widths)
    least, most, history = _limits(rows, widths).to(sure.device, non_blocking=True).unbind()
    still = (_still(rows, widths) + 1) * (moved < most)
    ready = (sure > least) & (still >= history)
    scores = torch.where(ready, _order(rows, widths, sure, moved), sure - 1)
    parts = (each.split_with_sizes(widths) for each in (logits, still, scores))
    for row, *each in zip(rows, *parts, strict=True):
        _seen(row).note(row, *each)


def _width(row: Proposed) -> int:
    """Columns of the row. Raises ``ContractError`` where they are not those of its block."""
    sequence, width = row.sequence, len(row.tokens)
    if width != sequence.block_end - sequence.block_start:
        raise ContractError(
            f"{type(row.rule).__name__} was asked about {width} columns, and compares those of a block; plan "
            "targets that are the block"
        )
    return width


def _refuse_chance(sequence: Sequence) -> None:
    if sequence.random_order:
        name = type(sequence.rule).__name__
        raise ContractError(
            f"random_order=True leaves to chance which positions are filled, and {name} fills those that are "
            "ready; leave it out, or take strategy='random'"
        )


def _seen(row: Proposed) -> Seen:
    seen: Seen = row.sequence.rule_state
    return seen


def _rule(row: Proposed) -> Stable:
    assert isinstance(row.rule, Stable)
    return row.rule


def _enter(rows: list[Proposed]) -> None:
    """Raise before anything is remembered, and forget the blocks that rows have left."""
    for row in rows:
        if _rule(row).strategy == "random":
            row.sequence.generator(row.logits.device)  # as for a seed that no generator takes
    for row in rows:
        _seen(row).enter(row.sequence)


def _limits(rows: list[Proposed], widths: list[int]) -> Tensor:
    """Of each position the confidence and the divergence that bound what is ready, and the forwards that it
    is to be still; float64 ``[3, N]`` on the CPU."""
    rules = [_rule(row) for row in rows]
    limits = [[rule.conf_threshold, rule.kl_threshold, rule.history] for rule in rules]
    each = torch.tensor(limits, dtype=torch.float64).T
    return each.repeat_interleave(torch.tensor(widths), dim=1)


def _still(rows: list[Proposed], widths: list[int]) -> Tensor:
    """In how many of the last forwards each position was still, int64 ``[N]``."""
    blank = torch.zeros(max(widths), dtype=torch.int64, device=rows[0].logits.device)
    parts: list[Tensor] = []
    for row, width in zip(rows, widths, strict=True):
        known = _seen(row).still
        known = blank[:0] if known is None else known
        if len(known) > width:  # the block has been ended before its bound
            known = known[:width]
        parts += [known, blank[: width - len(known)]] if len(known) < width else [known]
    return torch.cat(parts)


def _order(rows: list[Proposed], widths: list[int], sure: Tensor, moved: Tensor) -> Tensor:
    """By what one of a row's ready positions is taken, float64 ``[N]``, above 0."""
    kinds = [_rule(row).strategy for row in rows]
    order = sure
    if "min_kl" in kinds:
        stillest = torch.tensor([kind == "min_kl" for kind in kinds]).repeat_interleave(torch.tensor(widths))
        order = torch.where(stillest.to(sure.device, non_blocking=True), (-moved).exp(), sure)
    if "random" not in kinds:
        return order
    parts = order.split_with_sizes(widths)
    return torch.cat([_drawn(row, part) for row, part in zip(rows, parts, strict=True)])


def _drawn(row: Proposed, order: Tensor) -> Tensor:
    """The row's own ``order [L]``, or chance, where that decides: once it has seen enough of the block."""
    rule = _rule(row)
    if rule.strategy != "random" or _seen(row).forwards + 1 < rule.history:
        return order
    generator = row.sequence.generator(order.device)
    return 1 - torch.rand(len(order), dtype=torch.float64, device=order.device, generator=generator)


class LooksAhead(Around):
    """What ``base`` plans, which shows `Stable` the next block too that holds masks: its plans are to cover
    that. Of what is behind the block, the forward counts that fills it."""

    def plan(self, sequence: Sequence) -> Plan:
        return replace(self.base.plan(sequence), look=(sequence.block_start, _next_end(sequence)))

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        partner(self, sequence.rule, Stable)
        width = sequence.block_end - sequence.block_start
        super().after(sequence, plan, logits[:width], network)
        if width < len(logits) and not sequence.open_columns:
            seen: Seen = sequence.rule_state
            if seen.logits is None:
                raise ContractError(
                    f"{type(sequence.rule).__name__} ended a block of which it noted no forward, so that "
                    "nothing behind is compared; let its score_all ask super(), or leave LooksAhead out"
                )
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
