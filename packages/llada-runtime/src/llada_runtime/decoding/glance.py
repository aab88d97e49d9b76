"""Proposals that are made and chosen where the logits are, with one read of them and one of the outcome.

That is done on a GPU for rows of which nobody looks at the logits: they take the likeliest tokens, and their
rule keeps the most probable ones and changes nothing. All others take the way of `proposals` and `choice`,
which this one agrees with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from llada_core.faults import fault_of
from llada_core.imports import LazyModule
from llada_runtime.decoding.proposals import Proposals, blame_nan, open_targets
from llada_runtime.decoding.rules import BestFirst
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.turn import Turn
from llada_runtime.network.machine import why_no_kernels

if TYPE_CHECKING:
    from llada_runtime.network import kernels
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["Glance", "may_glance"]


def may_glance(turns: list[Turn], device: torch.device) -> bool:
    """Whether nobody looks at the logits of the turns, so that a `Glance` at them is enough."""
    if not turns or why_no_kernels(device) is not None:
        return False
    kinds = {type(turn.sequence.rule) for turn in turns}
    widths = {hi - lo for lo, hi in (turn.targets for turn in turns)}
    return len(kinds) == len(widths) == 1 and all(_takes_the_likeliest(turn.sequence) for turn in turns)


def _takes_the_likeliest(sequence: Sequence) -> bool:
    if sequence.temperature != 0 or sequence.random_order or sequence.rescores or sequence.revokes:
        return False
    if sequence.alternatives:
        return False
    kind = type(sequence.rule)
    if not issubclass(kind, BestFirst) or kind.score is not BestFirst.score:
        return False
    mine = (kind.select.__func__, kind.choose.__func__)  # type: ignore[attr-defined]
    return mine == (BestFirst.select.__func__, BestFirst.choose.__func__)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Glance:
    """What is proposed and kept for R rows of L targets each, on its way from the network's device.

    Attributes:
        tokens: float64 ``[R · L]``, in which ids are exact, on the device. kept: bool, the same.
        open: bool ``[R, L]``, on the CPU.
    """

    tokens: Tensor
    kept: Tensor
    open: Tensor
    _sequences: list[Sequence]
    _arriving: Tensor  # float64 [3, R, L]: tokens, confidence, kept
    _arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, logits: Tensor, turns: list[Turn]) -> Glance | None:
        """A glance at ``logits [R · L, V]``, which stay as they are; None where the rule cannot choose there.

        `may_glance` has said that it is enough. The host does not wait here.
        """
        sequences = [turn.sequence for turn in turns]
        open_ = open_targets(sequences, [turn.targets for turn in turns])
        here = open_.to(logits.device, non_blocking=True)
        found = logits.new_empty(3, *here.shape, dtype=torch.float64)
        kernels.likeliest(logits, excluded=sequences[0].mask_id, out=found[:2].flatten(1))
        scores = torch.where(here, found[1], -torch.inf)
        try:
            kept = type(sequences[0].rule).select(sequences, scores, here)
            found[2] = kept
        except BaseException as exc:  # `choice` finds out whose fault it is
            fault_of(exc)
            return None
        arriving, arrived = _sent(found)
        return cls(
            tokens=found[0].flatten(),
            kept=kept.flatten(),
            open=open_,
            _sequences=sequences,
            _arriving=arriving,
            _arrived=arrived,
        )

    def read(self) -> tuple[Proposals, Tensor]:
        """The proposals, and which of them are kept, bool ``[R, L]``; none of a row that failed. Waits."""
        if self._arrived is not None:
            self._arrived.synchronize()
        tokens, confidence, chosen = self._arriving
        faults: dict[int, Exception] = {}
        blame_nan(confidence, self._sequences, faults)
        kept = chosen.bool()
        kept[list(faults)] = False
        scores = confidence.masked_fill(~self.open, -torch.inf)
        proposals = Proposals(
            tokens=tokens.long(),
            confidence=confidence,
            scores=scores,
            open=self.open,
            logits=(),
            faults=faults,
        )
        return proposals, kept


def _sent(found: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """What ``found`` will be on the CPU, once the event has happened."""
    if not found.is_cuda:
        return found, None
    arriving = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
    arriving.copy_(found, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return arriving, arrived
