"""The decoding loop: admit → plan → forward → commit → emit, for any mix of sequences.

The loop does not know algorithms. It asks every sequence's policy for a plan, runs all plans in one packed
forward, asks every sequence's rule what to keep, and emits one `Step` a sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Sequence_

import torch
from torch import Tensor

from llada_core.errors import PromptError
from llada_runtime.decoding.policies import Plan
from llada_runtime.decoding.proposals import Proposals, propose
from llada_runtime.decoding.sequence import Sequence, Step
from llada_runtime.network.cache import KVCache
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.protocol import Network

__all__ = ["Loop", "drain"]

_Row = tuple[list[int], list[int], list[float]]
"""Per sequence: columns, tokens and confidences of what is kept."""


class Loop:
    """Sequences in flight on one model. A sequence may be admitted between any two steps.

    Args:
        model: the network.
        rows: how many sequences may be in flight.
        length: how long the longest of them may be, in columns; cache memory is rows · length.
    """

    def __init__(self, model: Network, *, rows: int, length: int) -> None:
        self.model, self.rows, self.length = model, rows, length
        self.active: list[Sequence] = []
        self._cache: KVCache | None = None
        self._slots: dict[Sequence, int] = {}
        self._layout: Layout | None = None

    @property
    def room(self) -> int:
        """How many more sequences can be admitted now."""
        return self.rows - len(self.active)

    def admit(self, sequence: Sequence) -> None:
        """Take ``sequence`` into the next step.

        Raises:
            PromptError: there is no room, or it is longer than the loop was built for.
        """
        if not self.room:
            raise PromptError(f"all {self.rows} rows are taken; admit it after a sequence has finished")
        if sequence.length > self.length:
            raise PromptError(
                f"the sequence has {sequence.length} columns and this loop was built for {self.length}; "
                "build the loop with a larger length"
            )
        if sequence.policy.caches:
            self._cache = self._cache or self.model.new_cache(rows=self.rows, length=self.length)
            self._slots[sequence] = self._cache.take()
        self.active.append(sequence)

    def step(self) -> list[Step]:
        """Run one forward of every active sequence and emit what it decided, in the order of admission.

        Raises:
            NumericalError: the network produced NaN.
        """
        self._retire()
        if not self.active:
            return []
        plans = [sequence.policy.plan(sequence) for sequence in self.active]
        with torch.inference_mode():
            calls = self._forward(plans)
            rows = self._decide(plans, calls)
            steps = [self._commit(*row) for row in zip(self.active, plans, calls, rows, strict=True)]
        self._retire()
        return steps

    def _decide(self, plans: Sequence_[Plan], calls: Sequence_[Tensor]) -> list[_Row]:
        """What each sequence keeps of what the network proposes for its plan's targets."""
        rows: list[_Row] = [([], [], []) for _ in plans]
        targets = [_targets(*pair) for pair in zip(self.active, plans, strict=True)]
        deciding = [row for row, (lo, hi) in enumerate(targets) if lo < hi]
        if not deciding:
            return rows
        sequences, windows = [self.active[row] for row in deciding], [targets[row] for row in deciding]
        logits = [_deciding(plans[row], targets[row], calls[row]) for row in deciding]
        proposals = propose(torch.cat(logits), sequences, windows)
        for row, (lo, _), kept in zip(
            deciding, windows, _kept(proposals, select(sequences, proposals)), strict=True
        ):
            offsets, tokens, confidence = kept
            rows[row] = ([lo + offset for offset in offsets], tokens, confidence)
        return rows

    def _forward(self, plans: Sequence_[Plan]) -> list[Tensor]:
        """Each sequence's logits: its targets', or of all columns of its call where the plan is ``whole``."""
        spans = [self._span(*pair) for pair in zip(self.active, plans, strict=True)]
        self._layout = Layout.of(
            spans,
            device=self.model.device,
            cache_length=self.length,
            merge=self.model.merges,
            previous=self._layout,
        )
        logits = self.model.logits(self._layout, self._cache)
        return list(logits.split([span.head_width for span in spans]))

    def _commit(self, sequence: Sequence, plan: Plan, logits: Tensor, row: _Row) -> Step:
        columns, tokens, confidence = row
        block, shown = sequence.block, sum(column < sequence.answer_end for column in columns)
        sequence.commit(columns, tokens)
        if plan.writes and not plan.reads:
            sequence.cached_block = block
        sequence.policy.after(sequence, plan, logits, self.model)
        sequence.advance()
        return Step(
            sequence=sequence,
            block=block,
            positions=[column - sequence.prompt_length for column in columns[:shown]],
            tokens=tokens[:shown],
            confidence=confidence[:shown],
            nfe=sequence.nfe,
            finished=sequence.finished,
        )

    def _span(self, sequence: Sequence, plan: Plan) -> Span:
        head_lo, head_hi = _head(plan, _targets(sequence, plan))
        return Span(
            ids=sequence.canvas[plan.lo : plan.hi],
            lo=plan.lo,
            hi=plan.hi,
            length=sequence.length if plan.end is None else plan.end,
            head_lo=head_lo,
            head_hi=head_hi,
            slot=self._slots[sequence] if plan.writes else None,
            reads=plan.reads,
            causal=plan.causal,
            inputs=sequence.policy.inputs(sequence, plan),
        )

    def _retire(self) -> None:
        for sequence in [sequence for sequence in self.active if sequence.finished]:
            self.active.remove(sequence)
            if self._cache is not None and sequence in self._slots:
                self._cache.release(self._slots.pop(sequence))


def select(sequences: Sequence_[Sequence], proposals: Proposals) -> Tensor:
    """Which proposals to keep, bool ``[R, L]``: each rule class sees all of its rows at once."""
    kinds = dict.fromkeys(type(sequence.rule) for sequence in sequences)
    if len(kinds) == 1:
        return next(iter(kinds)).select(sequences, proposals.scores, proposals.open) & proposals.open
    kept = torch.zeros_like(proposals.open)
    for kind in kinds:
        rows = [row for row, sequence in enumerate(sequences) if type(sequence.rule) is kind]
        chosen = kind.select([sequences[row] for row in rows], proposals.scores[rows], proposals.open[rows])
        kept[rows] = chosen & proposals.open[rows]
    return kept


def _kept(proposals: Proposals, kept: Tensor) -> Iterator[_Row]:
    """Per row the offsets, tokens and confidences of what is kept."""
    for tokens, confidence, mine in zip(proposals.tokens, proposals.confidence, kept, strict=True):
        yield mine.nonzero()[:, 0].tolist(), tokens[mine].tolist(), confidence[mine].tolist()


def _targets(sequence: Sequence, plan: Plan) -> tuple[int, int]:
    return plan.targets or (sequence.block_start, sequence.block_end)


def _head(plan: Plan, targets: tuple[int, int]) -> tuple[int, int]:
    """The columns whose logits are computed: one at least, so that a forward always has some."""
    lo, hi = targets
    if plan.whole:
        return plan.lo, plan.hi
    return (lo - plan.shift, hi - plan.shift) if lo < hi else (plan.hi - 1, plan.hi)


def _deciding(plan: Plan, targets: tuple[int, int], call: Tensor) -> Tensor:
    """The logits of a call that decide its targets, ``[hi - lo, V]``."""
    lo, hi = targets
    return call[lo - plan.shift - plan.lo : hi - plan.shift - plan.lo] if plan.whole else call


def drain(model: Network, sequences: Iterable[Sequence], *, rows: int) -> Iterator[Step]:
    """Run ``sequences`` to their end, at most ``rows`` at a time, emitting steps as they happen.

    A finished sequence makes room for the next one at once. Closing the iterator stops the work.
    """
    waiting = deque(sequences)
    if not waiting:
        return
    loop = Loop(model, rows=min(rows, len(waiting)), length=max(s.length for s in waiting))
    while waiting or loop.active:
        while waiting and loop.room:
            loop.admit(waiting.popleft())
        yield from loop.step()
