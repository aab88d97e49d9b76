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
    Standing,
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
    """How many tokens the last forward of a block wrote: fewer are taken back by the next.

    Attributes:
        block, at, count: the block, the forward of it that was noted last, and how many tokens that wrote.
        limit: what bounds those that it takes back, by the forward before.
    """

    block: int = -1
    at: int = -1
    count: int = _BEGINNING
    limit: int = _BEGINNING

    def before(self, sequence: Sequence) -> int:
        """The number that the forward before the one in work wrote, however often it is asked for.

        Notes that of the one in work.
        """
        if self.at != sequence.nfe:
            self.limit = self.count if self.block == sequence.block else _BEGINNING
            self.block, self.at, self.count = sequence.block, sequence.nfe, len(sequence.chosen)
        return self.limit


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

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        for row in rows:
            partner(row.rule, row.sequence.policy, Shadowed)
        judged = [_judged(row.sequence) for row in rows]
        sure = iter(_probabilities(rows, judged))
        pairs = [[(next(sure), column) for column in columns] for columns in judged]
        return [_taken_back(*each) for each in zip(rows, pairs, strict=True)]


def _judged(sequence: Sequence) -> list[int]:
    """The columns of the block whose tokens may be taken back now."""
    block = range(sequence.block_start, sequence.block_end)
    return [column for column in block if sequence.may_revoke(column)] if len(sequence.chosen) > 1 else []


def _probabilities(rows: list[Standing], judged: list[list[int]]) -> list[float]:
    """Of what stands in the ``judged`` columns of each row; the device is waited for once."""
    parts, tokens, wanted = list[Tensor](), list[int](), list[int]()
    for row, columns in zip(rows, judged, strict=True):
        if columns:
            lo, hi = columns[0], columns[-1] + 1
            wanted += [len(tokens) + column - lo for column in columns]
            tokens += row.sequence.canvas[lo:hi]
            parts.append(row.logits[lo - row.start : hi - row.start])
    if not parts:
        return []
    there = torch.cat(parts)
    sure = probability(there, torch.tensor(tokens).to(there.device, non_blocking=True)).tolist()
    return [sure[at] for at in wanted]


def _taken_back(row: Standing, judged: list[tuple[float, int]]) -> list[int]:
    """Which columns are given back of those ``judged`` to be so probable, the least probable ones first."""
    assert isinstance(row.rule, WideInNarrowOut)
    before = row.sequence.rule_state.before(row.sequence)
    doubtful = [column for sure, column in sorted(judged) if sure < row.rule.threshold_back]
    return doubtful[: before - 1]
