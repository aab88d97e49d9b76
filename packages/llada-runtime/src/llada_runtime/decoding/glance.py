"""Proposals that are made and chosen where the logits are, with one read of them and one of the outcome.

That is done on a GPU for rows of which nobody looks at the logits: they take the likeliest tokens, and their
rule keeps the most probable ones and changes nothing. All others take the way of `proposals` and `choice`,
which this one agrees with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from llada_core.faults import fault_of
from llada_runtime.decoding.asking import speaking
from llada_runtime.decoding.choice import kept_of
from llada_runtime.decoding.policies import Policy, sees_logits
from llada_runtime.decoding.proposals import Proposals, blame_nan, open_targets
from llada_runtime.decoding.rules import BestFirst
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.turn import Turn
from llada_runtime.network.likeliest import Likeliest
from llada_runtime.network.machine import why_no_kernels

__all__ = ["Glance", "likeliest_of", "may_glance"]


def may_glance(turns: list[Turn], device: torch.device) -> bool:
    """Whether nobody looks at the logits of the turns, so that a `Glance` at them is enough."""
    if not turns or why_no_kernels(device) is not None:
        return False
    kinds = {type(turn.sequence.rule) for turn in turns}
    widths = {hi - lo for lo, hi in (turn.targets for turn in turns)}
    return len(kinds) == len(widths) == 1 and all(_takes_the_likeliest(turn.sequence) for turn in turns)


def likeliest_of(turns: list[Turn], device: torch.device) -> Likeliest | None:
    """What is enough of the logits of the forward of ``turns``; None where somebody looks at them.

    It is known before the forward: all of its logits decide, and no policy sees them.
    """
    if not may_glance(turns, device) or not all(_decides_by_all(turn) for turn in turns):
        return None
    return Likeliest(turns[0].sequence.mask_id)


def _decides_by_all(turn: Turn) -> bool:
    policy = turn.sequence.policy
    unseen = isinstance(policy, Policy) and not sees_logits(policy)
    alone = not turn.combines and not turn.plan.shadow
    deciding = turn.decides and not turn.plan.whole and turn.plan.look is None
    return unseen and deciding and alone


def _takes_the_likeliest(sequence: Sequence) -> bool:
    if sequence.temperature != 0 or sequence.random_order or sequence.rescores or sequence.revokes:
        return False
    if sequence.alternatives or sequence.policy.sees_proposals(sequence):
        return False
    kind = type(sequence.rule)
    if not issubclass(kind, BestFirst) or any(speaking([sequence.rule], "score")):
        return False
    mine = (kind.select.__func__, kind.choose.__func__)  # type: ignore[attr-defined]
    return mine == (BestFirst.select.__func__, BestFirst.choose.__func__)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Glance:
    """What is proposed and kept for R rows of L targets each, on its way from the network's device.

    Attributes:
        tokens: float64 ``[R · L]``, in which ids are exact, on the device.
        kept: bool ``[R · L]``, on the device; None where the rule cannot choose there.
        open: bool ``[R, L]``, on the CPU.
    """

    tokens: Tensor
    kept: Tensor | None
    open: Tensor
    _sequences: list[Sequence]
    _arriving: tuple[Tensor, ...]  # float64 [2, R, L], tokens and confidence; bool [R, L], kept
    _arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, likeliest: Tensor, turns: list[Turn]) -> Glance:
        """A glance at what `Likeliest` made of the logits, ``[2, R · L]``.

        `may_glance` has said that it is enough. The host does not wait here.
        """
        sequences = [turn.sequence for turn in turns]
        open_ = open_targets(sequences, [turn.targets for turn in turns])
        here = open_.to(likeliest.device, non_blocking=True)
        found = likeliest.view(2, *here.shape)
        scores = torch.where(here, found[1], -torch.inf)
        kept = None
        try:
            kept = type(sequences[0].rule).select(sequences, scores, here)
        except BaseException as exc:  # `choice` finds out whose fault it is
            fault_of(exc)
        arriving, arrived = _sent(found) if kept is None else _sent(found, kept)
        return cls(
            tokens=likeliest[0],
            kept=None if kept is None else kept.flatten(),
            open=open_,
            _sequences=sequences,
            _arriving=arriving,
            _arrived=arrived,
        )

    def arrived(self) -> tuple[Tensor, ...]:
        """Tokens and confidence, float64 ``[2, R, L]``, and what is kept, bool ``[R, L]``, on the CPU; the
        last not where the rule could not choose. Waits for them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._arriving

    def read(self) -> tuple[Proposals, Tensor]:
        """The proposals, and which of them are kept, bool ``[R, L]``; none of a row that failed. Waits."""
        (tokens, confidence), *chosen = self.arrived()
        faults: dict[int, Exception] = {}
        blame_nan(confidence, self._sequences, faults)
        scores = confidence.masked_fill(~self.open, -torch.inf)
        proposals = Proposals(
            tokens=tokens.long(),
            confidence=confidence,
            scores=scores,
            open=self.open,
            logits=(),
            faults=faults,
        )
        if not chosen:
            return proposals, kept_of(self._sequences, proposals)
        chosen[0][list(faults)] = False
        return proposals, chosen[0]


def _sent(*tensors: Tensor) -> tuple[tuple[Tensor, ...], torch.cuda.Event | None]:
    """What they will be on the CPU, once the event has happened."""
    if not tensors[0].is_cuda:
        return tuple(tensor.clone() for tensor in tensors), None
    arriving = tuple(_pinned(tensor) for tensor in tensors)
    arrived = torch.cuda.Event()
    arrived.record()
    return arriving, arrived


def _pinned(there: Tensor) -> Tensor:
    here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
    return here.copy_(there, non_blocking=True)
