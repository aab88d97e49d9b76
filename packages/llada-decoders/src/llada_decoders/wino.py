"""WINO, wide in and narrow out: tokens are written at a low threshold, and taken back in the next forward
where all others together do not bear them out.

Source: arXiv 2507.18578; ``decoding_wino`` of Feng-Hong/WINO-DLLM @ 9549a1d, ``LLaDA/decoding.py``. Kept of
it: what judges the tokens of a block (`Shadowed`) sees the block's positions twice, once with masks; the
tokens of a block's last forward are never judged, and no block once it is full. Left out: the mask token may
be proposed there, and masks in a prompt are filled; a block that does not divide the length is refused there,
and here the last one is shorter, with a shorter shadow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import (
    Network,
    NoCache,
    Plan,
    Policy,
    RemoteNetwork,
    Rule,
    Sequence,
    probability,
)

from .declared.wino import ALGORITHM, PARAMETERS
from .sequences import partner
from .thresholds import Above

__all__ = ["Shadowed", "WideInNarrowOut", "WinoGeneration"]

_BEGINNING = 30  # the limit on what a block's first forward takes back: upstream's first ``last_accept``
_LEAST, _MOST = 5, 20  # tokens that a forward may write in any case, and at most

_OWN_CODE = (
    "the model runs by its own code, whose attention cannot hide columns; use an algorithm that needs only "
    "its logits, as 'basic'"
)


class WinoGeneration(FastDLLMGeneration):
    """Upstream's ``decoding_wino``."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS
    tried_with: ClassVar[Mapping[str, Any]] = MappingProxyType({"block_length": 11, "threshold": 0.3})

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return Shadowed()

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return WideInNarrowOut(threshold=params["threshold"], threshold_back=params["threshold_back"])

    def unfit_reason(self, model: Network) -> str | None:
        """Why it would misread the network, or why one that its own code runs cannot judge what stands."""
        return super().unfit_reason(model) or (_OWN_CODE if isinstance(model, RemoteNetwork) else None)


class Shadowed(NoCache):
    """Every forward covers the whole canvas, and the block once more, as masks."""

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, shadow=True)


@dataclass(slots=True)
class Accepted:
    """How many tokens the last forward of a block wrote: fewer are taken back by the next."""

    block: int = -1
    count: int = _BEGINNING

    def before(self, sequence: Sequence) -> int:
        """The number that the forward before the one in work wrote, which is noted in its place."""
        before = self.count if self.block == sequence.block else _BEGINNING
        self.block, self.count = sequence.block, len(sequence.chosen)
        return before


@dataclass(frozen=True, slots=True, kw_only=True)
class WideInNarrowOut(Above):
    """Writes every proposal more confident than ``threshold``, one at least, and takes back what stands at a
    probability below ``threshold_back``.

    At most seven tenths of the block's masks are written, or 5 where that is more, and never more than 20. A
    forward that writes one token takes none back, and others fewer than the forward before wrote, the least
    probable ones: so each block comes to an end.
    """

    revokes: ClassVar[bool] = True

    threshold_back: float

    def begin(self) -> Accepted:
        return Accepted()

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        most = (open_counts * 7 // 10).clamp(_LEAST, _MOST)
        return torch.minimum(Above.counts(parameters, ranked, open_counts), most)

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        partner(self, sequence.policy, Shadowed)
        before = sequence.rule_state.before(sequence)
        block = range(sequence.block_start, sequence.block_end)
        standing = [column for column in block if sequence.may_revoke(column)]
        if len(sequence.chosen) < 2 or not standing:
            return ()
        rows = torch.tensor([column - start for column in standing], device=logits.device)
        tokens = torch.tensor([sequence.canvas[column] for column in standing], device=logits.device)
        back = probability(logits[rows], tokens).tolist()
        doubtful = sorted((sure, column) for sure, column in zip(back, standing, strict=True))
        return [column for sure, column in doubtful if sure < self.threshold_back][: before - 1]
