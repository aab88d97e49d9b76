"""``multiblock``: the next block is opened before the last one is full, and one forward serves all open ones.

Source: d3LLM (arXiv 2601.07568; hao-ai-lab/d3LLM @ e5bfcac, ``d3llm_llada_generate_util.py``,
``generate_multi_block``, which keeps no cache).

Kept of upstream: its ``early_stop``, here ``eos_early_stop``, which is off there too: an end token ends the
answer though masks are before it, and these are filled with that in sight. In the forward that follows, masks
behind it still count as what could be filled, so that the one of least entropy may be one of these, and
nothing is filled. ``early_stop`` is the runtime's, which changes no answer.
Not kept: that such masks are written all the same, and stay so where that forward is the last; a block length
that does not divide ``gen_length`` and never ends; ``decoded_token_threshold``, which decides nothing: of the
open blocks with masks the first always follows a full one, and so has the guarantee that it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_core.parameters import check_early_stops
from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Network, NoCache, Plan, Policy, Proposed, Rule, Sequence, rules_of

from .declared.multiblock import ALGORITHM, PARAMETERS
from .orders import entropies, of_all
from .sequences import masks

__all__ = ["LowEntropy", "MultiBlockGeneration", "OpenBlocks", "Pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How far a sequence is open.

    Attributes:
        opened: blocks from the first that are open.
        end: column of the end token behind which the answer was ended; None before.
        stale: columns that were masks until the last forward ended the answer before them.
    """

    opened: int
    end: int | None = None
    stale: tuple[int, ...] = ()


class OpenBlocks(NoCache):
    """Every forward covers the canvas and decides all open blocks; at most one is opened a forward.

    Args:
        share: of the last open block that is to be filled when the next one is opened.
        eos_early_stop: end the answer at its first end token, though masks before that are still filled.
    """

    def __init__(self, share: float, *, eos_early_stop: bool = False) -> None:
        self.share, self.eos_early_stop = share, eos_early_stop

    def begin(self) -> Pipeline | None:
        return None  # until the first forward has run

    def plan(self, sequence: Sequence) -> Plan:
        pipeline = self._pipeline(sequence)
        end = sequence.length if pipeline.stale else _block(sequence, pipeline.opened - 1)[1]
        return Plan(lo=0, hi=sequence.length, targets=(sequence.block_start, end))

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        now = self._pipeline(sequence)
        end, stale = self._ended(sequence, now.end) if self.eos_early_stop else (None, ())
        opened = now.opened if end is not None else self._opened(sequence, now.opened)
        sequence.policy_state = Pipeline(opened, end, stale)

    def _pipeline(self, sequence: Sequence) -> Pipeline:
        """As of the next forward. Where given text fills a block, the ones up to the current are open."""
        state: Pipeline = sequence.policy_state or Pipeline(self._opened(sequence, 1))
        return Pipeline(max(state.opened, sequence.block + 1), state.end, state.stale)

    def _opened(self, sequence: Sequence, opened: int) -> int:
        """How many blocks are open once one more may be."""
        lo, hi = _block(sequence, opened - 1)
        masks = sequence.canvas[lo:hi].count(sequence.mask_id)
        return opened + (hi < sequence.length and 1 - masks / (hi - lo) >= self.share)

    def _ended(self, sequence: Sequence, end: int | None) -> tuple[int | None, tuple[int, ...]]:
        """Where the answer ends by now, and what were masks behind until this forward."""
        last = sequence.length if end is None else end
        found = next((c for c in range(sequence.prompt_length, last) if _ends(sequence, c)), None)
        if found is None:
            return end, ()
        behind = range(found + 1, sequence.length)
        stale = tuple(column for column in behind if sequence.canvas[column] == sequence.mask_id)
        sequence.end_answer(found + 1, sequence.canvas[found])
        return found, stale


def _block(sequence: Sequence, index: int) -> tuple[int, int]:
    """Columns ``[lo, hi)`` of a block."""
    lo = sequence.prompt_length + index * sequence.block_length
    return lo, min(lo + sequence.block_length, sequence.length)


def _ends(sequence: Sequence, column: int) -> bool:
    """Whether the token there ends the answer; one before fixed text does not."""
    return sequence.canvas[column] in sequence.end_ids and sequence.may_end(column + 1)


@dataclass(slots=True)
class Guarantees:
    """Whether the position of least entropy is filled in any case, and the one of the first block."""

    best: bool = True
    first: bool = True


@dataclass(frozen=True, slots=True)
class LowEntropy(Rule):
    """Every position of at most ``threshold`` nats; the best in any case, and the best of the current block
    where nothing of it was taken."""

    threshold: float

    idles: ClassVar[bool] = True  # one forward, when the answer has been ended

    def begin(self) -> Guarantees:
        return Guarantees()

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        scores = -of_all(entropies, [row.logits for row in rows]).double()
        parts = scores.split_with_sizes([len(row.logits) for row in rows])
        for row, guarantees in zip(rows, _guarantees_of(rows, parts), strict=True):
            row.sequence.rule_state = guarantees
        return [*parts]

    def guarantees(self, sequence: Sequence, scores: Tensor, stale: tuple[int, ...]) -> Guarantees:
        """What upstream fills in any case where columns that are no masks any more still count as such, of
        ``scores [L]`` on the CPU."""
        start, width = sequence.block_start, sequence.block_end - sequence.block_start
        gone = torch.zeros(len(scores), dtype=torch.bool)
        gone[[column - start for column in stale if column >= start]] = True
        open_ = torch.tensor(masks(sequence, len(scores)))
        known = scores.masked_fill(~(gone | open_), -torch.inf)
        best, best_here = int(known.argmax()), int(known[:width].argmax())
        taken = gone[:width] & (known[:width] >= -self.threshold)
        spent = bool(taken.any()) or (best < width and bool(gone[best])) or bool(gone[best_here])
        return Guarantees(best=not gone[best], first=not spent)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """Threshold, columns of the current block, and both guarantees of each row, float64 ``[R, 4]``."""
        rows = zip(rules_of(sequences, cls), sequences, strict=True)
        values = [
            [
                rule.threshold,
                row.block_end - row.block_start,
                row.rule_state.best,
                row.rule_state.first,
            ]
            for rule, row in rows
        ]
        return torch.tensor(values, dtype=torch.float64)

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        threshold, width, best, first = parameters.split(1, dim=-1)  # [R, 1] each
        columns = torch.arange(scores.shape[-1], device=scores.device)
        taken = (scores >= -threshold) | ((columns == scores.argmax(-1, keepdim=True)) & best.bool())
        here = columns < width
        missing = ~(taken & open_ & here).any(-1, keepdim=True) & first.bool()
        surest = scores.masked_fill(~here, -torch.inf).argmax(-1, keepdim=True)
        return (taken | ((columns == surest) & missing)) & open_


def _guarantees_of(rows: list[Proposed], scores: Ids[Tensor]) -> list[Guarantees]:
    """Those of each row, of its ``scores [L]``. However many rows have stale columns, the device is waited
    for once."""
    found = [Guarantees() for _ in rows]
    stale = {at: columns for at, row in enumerate(rows) if (columns := _stale(row.sequence))}
    if not stale:
        return found
    there = torch.cat([scores[at] for at in stale]).cpu().split([len(scores[at]) for at in stale])
    for at, known in zip(stale, there, strict=True):
        rule = rows[at].rule
        assert isinstance(rule, LowEntropy)
        found[at] = rule.guarantees(rows[at].sequence, known, stale[at])
    return found


def _stale(sequence: Sequence) -> tuple[int, ...]:
    pipeline = sequence.policy_state
    return pipeline.stale if isinstance(pipeline, Pipeline) else ()


class MultiBlockGeneration(FastDLLMGeneration):
    """Upstream's ``generate_multi_block``: a forward of the whole canvas every step."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return OpenBlocks(params["block_add_threshold"], eos_early_stop=params["eos_early_stop"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        threshold = params["threshold"]
        return LowEntropy(torch.inf if threshold is None else threshold)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``. Raises ``ParameterError``, also where ``eos_early_stop`` is
        asked for without ``early_stop``."""
        values: dict[str, Any] = super().validate_args(**params)
        check_early_stops(values)
        return values
