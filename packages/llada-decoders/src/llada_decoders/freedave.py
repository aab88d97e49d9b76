"""FreeDave: the next states of a block run side by side, and as many are adopted as turn out right.

Source: FreeDave (arXiv 2510.00294; cychomatica/FreeDave @ 8b48121, ``generation/core.py``,
``block_decode_with_full_attention_FreeDave``). One forward tells the next token, and, if nothing changed, the
ones after it. So the next one computes that many states of the block, the *drafts*. The first is right. What
its logits make of it is what the second should be; if it is that, so is the second, and so on. The last right
draft stands, and its logits decide. Without a threshold the text is that of one token a step.

Here the token that the adopted draft's logits choose is written at once, and the canvas is the first draft of
the next forward; forwards and tokens are the published ones. So they are with a threshold, by which the last
tokens of a block may be several: upstream runs the full block then, once more, and takes only a last single
token without. A row ends with its end token, if it is to, as soon as that is known. Other differences: the
mask token is never proposed; confidence is the runtime's, not the softmax in the model's dtype;
``draft_steps`` is 4, as in its README, where the function's own default of 1 drafts nothing. Tokens are the
likeliest ones: with drawn ones the text would not be that of one token a step. ``draft_mode`` is left out, as
both give the same tokens, and so is ``eager_acceptance_mode``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Canvases, DualCache, Network, Plan, Policy, PrefixCache, Rule, Sequence, rules_of

from .declared.freedave import ALGORITHM, PARAMETERS
from .sequences import answered, partner
from .verification import Guess, Predictions, adopted, drafts, guesses, predictions

__all__ = ["Drafting", "FreeDaveGeneration", "Verified"]


@dataclass(slots=True)
class Drafted:
    """What is known of a sequence between its forwards.

    Attributes:
        seen: what the last forward proposes for each mask of the block, the surest first.
        at, columns: a forward, and the columns that its adopted draft has filled.
        found: what it proposes for each column of the block.
        block, masks: the block, and how many masks the last forward has left in it.
        unrun: how many tokens of the block have been in no draft.
    """

    seen: list[Guess] = field(default_factory=list)
    at: int = -1
    columns: frozenset[int] = frozenset()
    found: Predictions = field(default_factory=lambda: Predictions([], []))
    block: int = -1
    masks: int = 0
    unrun: int = 0

    def filled(self, forward: int) -> frozenset[int]:
        """The columns that the adopted draft of this forward has filled."""
        return self.columns if self.at == forward else frozenset()


class Drafting(Policy):
    """What ``cache`` plans, and the block's further states with it, ``steps`` in all, for `Verified`."""

    caches = True
    combines_one = True
    looks = False

    def __init__(self, cache: Policy, *, steps: int, early_exit: bool = False) -> None:
        self.cache, self.steps, self.early_exit = cache, steps, early_exit

    def begin(self) -> Drafted:
        return Drafted()

    def plan(self, sequence: Sequence) -> Plan:
        plan = self.cache.plan(sequence)
        if not plan.reads:
            return plan
        known: Drafted = sequence.policy_state
        states = drafts(plan.fed(sequence.canvas), plan.lo, known.seen[: self.steps - 1])
        return replace(plan, canvases=states)

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        found = predictions(logits, rows[0].sequence.mask_id)
        sources, first = list[int](), 0
        for row in rows:
            assert isinstance(row.policy, Drafting)
            own = row.policy.adopt(row, found.of(range(first, first + row.columns)))
            sources += [first + source * row.width + at for at, source in enumerate(own)]
            first += row.columns
        if len(sources) == len(logits):  # no row has drafts
            return logits
        return logits[torch.tensor(sources).to(logits.device, non_blocking=True)]

    def adopt(self, row: Canvases, found: Predictions) -> list[int]:
        """Note which of its drafts stands by what is ``found`` for the columns of each; of each column of the
        block, which of them to take the logits of."""
        sequence, plan = row.sequence, row.plan
        known: Drafted = sequence.policy_state
        lo, hi = (column - plan.lo for column in (sequence.block_start, sequence.block_end))
        rule = partner(self, sequence.rule, Verified)
        states = [ids[lo:hi] for ids in (plan.fed(sequence.canvas), *plan.canvases)]
        stands = adopted(states, found, mask=sequence.mask_id, threshold=rule.threshold)
        known.at = sequence.nfe
        known.columns = frozenset(sequence.block_start + offset for offset in stands.filled)
        known.found = found.of(source * row.width + at for at, source in enumerate(stands.sources))
        return stands.sources

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        known: Drafted = sequence.policy_state
        start, masks = sequence.block_start, sequence.open_columns
        before = known.masks if known.block == sequence.block else sequence.block_open
        known.unrun = before - len(masks) - len(known.filled(sequence.nfe - 1))
        known.block, known.masks = sequence.block, len(masks)
        known.seen = guesses(known.found, start, masks) if self.steps > 1 else []
        if self.early_exit and not masks and known.unrun < 2:
            _leave(sequence)

    def stays(self, sequence: Sequence) -> bool:
        return sequence.policy_state.unrun > 1 and not sequence.open_columns and not answered(sequence)


def _leave(sequence: Sequence) -> None:
    """End the answer behind the block, where that is nothing but one end token."""
    end = sequence.block_end
    (token, *others) = set(sequence.canvas[sequence.block_start : end])
    if not others and token in sequence.end_ids and end < sequence.length and sequence.may_end(end):
        sequence.end_answer(end, token)


@dataclass(frozen=True, slots=True)
class Verified(Rule):
    """What the adopted draft has filled, and of the rest what has the ``threshold``, and in any case the
    surest; None is that one alone. What has been filled, `Drafting` knows.
    """

    threshold: float | None

    @classmethod
    def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        thresholds = [rule.threshold for rule in rules_of(sequences, cls)]
        least = torch.tensor(
            [[math.nan if each is None else each] for each in thresholds], dtype=torch.float64
        )
        filled = torch.tensor([_filled(sequence, open_.shape[1]) for sequence in sequences])
        kept = filled.to(scores.device, non_blocking=True)
        left = scores.masked_fill(kept, -torch.inf)
        sure = left >= least.to(left, non_blocking=True)
        return (kept | sure).scatter_(-1, left.argmax(-1, keepdim=True), True) & open_


def _filled(sequence: Sequence, width: int) -> list[bool]:
    """Which of the ``width`` columns from the block's first on the adopted draft has filled."""
    known, start = sequence.policy_state, sequence.block_start
    filled = known.filled(sequence.nfe) if isinstance(known, Drafted) else ()
    return [column in filled for column in range(start, start + width)]


class FreeDaveGeneration(FastDLLMGeneration):
    """FreeDave's decoder. With a ``threshold`` ("FreeDave++") a draft that has fewer tokens than threshold
    decoding would write is adopted as it is, so that the text may differ from that decoding's.
    """

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        cache = DualCache() if params["cache"] == "dual" else PrefixCache()
        return Drafting(cache, steps=params["draft_steps"], early_exit=params["early_exit"])

    def rule(self, params: Mapping[str, Any]) -> Verified:
        return Verified(params["threshold"])
