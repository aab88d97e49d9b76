"""The next forward of a block, launched before the host has gone through the outcome of the one before.

Where it is known what every row plans next, all that is new are tokens, and these are on the device already.
So it is launched as soon as it is known that each row has masks left: before the outcome is there, where the
rules keep a number of masks that does not depend on it, and else once it is, before anything else is made of
it. What is launched is used where it turns out to be what is planned next, and else forgotten: it has written
the keys of columns that the next forward of the block writes again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from llada_core.faults import fault_of
from llada_runtime.decoding.glance import Glance, likeliest_of
from llada_runtime.decoding.policies import Policy, foresees
from llada_runtime.decoding.proposals import Proposals
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.turn import Turn
from llada_runtime.network.cache import KVCache
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Layout
from llada_runtime.network.likeliest import Likeliest
from llada_runtime.network.protocol import Network
from llada_runtime.network.spans import Span

__all__ = ["Ahead", "outcome", "read"]


@dataclass(slots=True, eq=False, kw_only=True)
class Ahead:
    """A forward that can be launched.

    Attributes:
        after: the turns that it follows.
        spans: a row's each, with ids as they are before what these turns fill.
        open: how many masks each row has before.
        certain: each row has masks left, whatever the outcome.
        wanted: what its logits are reduced to; None where somebody looks at them.
        outcome: its logits, or what they were reduced to, once it has been launched.
    """

    layout: Layout
    after: list[Turn]
    spans: list[Span]
    open: list[int]
    certain: bool
    wanted: Likeliest | None
    outcome: Tensor | None = None

    @classmethod
    def of(
        cls, turns: list[Turn], glance: Glance, layout: Layout, network: Network, faults: dict[int, Exception]
    ) -> Ahead | None:
        """The forward after the one of ``turns`` by ``layout``; None where it may be another than that.

        What policies and rules raise is added to the rows' ``faults``.
        """
        if glance.kept is None or len(glance.tokens) != layout.form.head_columns or layout.inputs:
            return None
        spans, certain = list[Span](), True
        for row, turn in enumerate(turns):
            try:
                span = _next_span(turn)
                certain = certain and _keeps_fewer(turn)
            except BaseException as exc:  # a policy or rule may raise anything; it is its row's fault
                faults[row] = fault_of(exc)
                return None
            if span is None:
                return None
            spans.append(span)
        following = Layout.of(spans, device=network.device, merge=network.merges, previous=layout)
        following = replace(following, ids=_filled_in(following, glance.tokens.long(), glance.kept))
        wanted = likeliest_of(turns, network.device)  # as before: rows and policies are the same
        open_ = glance.open.sum(-1).tolist()
        return cls(layout=following, after=turns, spans=spans, open=open_, certain=certain, wanted=wanted)

    def goes_on(self, glance: Glance) -> bool:
        """Whether no row has ended, and all have masks left, by what is kept at ``glance``. Waits for it."""
        (tokens, _), kept = glance.arrived()
        if any(sum(row) >= open_ for row, open_ in zip(kept.tolist(), self.open, strict=True)):
            return False
        ends = frozenset[int]().union(*(t.sequence.end_ids for t in self.after if t.sequence.early_stop))
        return not ends or ends.isdisjoint(tokens[kept].tolist())

    def expect(self, network: Network, cache: KVCache | None) -> None:
        """Have all done that can be before it is launched, while the GPU is busy with the one before."""
        if isinstance(network, Graphed) and network.alone:
            network.expect(self.layout, cache, self.wanted)

    def launch(self, network: Network, cache: KVCache | None) -> None:
        """Run it; the host does not wait. Where it fails, the step that comes to it will, and tells why."""
        with suppress(Exception):
            self.outcome = outcome(network, self.layout, cache, self.wanted)

    def is_of(self, turns: list[Turn]) -> bool:
        """Whether it computes what ``turns`` plan, now that the turns before are known."""
        return len(turns) == len(self.after) and all(
            turn.sequence is before.sequence
            and not turn.sequence.inserted  # columns are counted otherwise since
            and [planned.place for planned in turn.spans] == [span.place]
            and turn.spans[0].inputs is None
            and turn.spans[0].ids == _filled(span, before)
            for turn, before, span in zip(turns, self.after, self.spans, strict=True)
        )


def outcome(network: Network, layout: Layout, cache: KVCache | None, wanted: Likeliest | None) -> Tensor:
    """The logits of a forward, or what is ``wanted`` of them: in its graph, where the network has graphs."""
    if wanted is not None and isinstance(network, Graphed):
        return network.reduced(layout, cache, wanted)
    logits = network.logits(layout, cache)
    return logits if wanted is None else wanted(logits)


def read(
    turns: list[Turn], glance: Glance, layout: Layout, network: Network, cache: KVCache | None
) -> tuple[Proposals, Tensor, Ahead | None]:
    """What a glance at the outcome of ``turns`` proposes and keeps, and the forward that runs by then."""
    faults: dict[int, Exception] = {}
    ahead = Ahead.of(turns, glance, layout, network, faults)
    if ahead is not None and not ahead.certain:
        ahead.expect(network, cache)
    if ahead is not None and (ahead.certain or ahead.goes_on(glance)):
        ahead.launch(network, cache)
    proposals, kept = glance.read()
    proposals.faults.update(faults)
    return proposals, kept, ahead


def _filled_in(layout: Layout, tokens: Tensor, kept: Tensor) -> Tensor:
    """The ids of the layout, ``[N]``, with what is kept in the place of masks; computed on the device."""
    if layout.form.asks_all and layout.form.in_order:
        return torch.where(kept, tokens, layout.ids)
    asked = layout.head if layout.form.in_order else layout.head[layout.restore]
    filled = layout.ids.scatter(0, asked, torch.where(kept, tokens, layout.ids[asked]))
    if layout.form.repeated:
        last = len(filled) - layout.form.repeated
        filled[last:] = filled[last - 1]
    return filled


def _next_span(turn: Turn) -> Span | None:
    """What the turn's sequence runs next as long as its block has masks; None where that is not known."""
    sequence, (span, *further) = turn.sequence, turn.spans
    block = (sequence.block_start, sequence.block_end)
    policy = sequence.policy
    if further or turn.targets != block or not isinstance(policy, Policy) or not foresees(policy):
        return None
    plan = policy.then(sequence, turn.plan)
    if plan is None or plan.canvases or plan.shadow:
        return None
    if plan.targets_of(block) != block or plan.head_of(block) != block:
        return None
    return Span(
        ids=plan.fed(sequence.canvas), lo=plan.lo, hi=plan.hi,
        length=sequence.length if plan.end is None else plan.end, head_lo=block[0], head_hi=block[1],
        extent=span.extent if plan.writes else None, reads=plan.reads, stride=plan.stride,
        tail=plan.tail,
    )  # fmt: skip


def _keeps_fewer(turn: Turn) -> bool:
    """Whether the turn's rule keeps fewer masks than there are, whatever the network says."""
    sequence = turn.sequence
    keeps = sequence.rule.keeps(sequence) if isinstance(sequence.rule, Rule) else None
    return keeps is not None and not sequence.cancelled and keeps < len(sequence.open_columns)


def _filled(span: Span, turn: Turn) -> list[int]:
    """The ids of the span with what the turn's rule has kept, which is all that a forward ahead knows.

    The turn tells too of what `Sequence.end_answer` has written since: wherever on the canvas.
    """
    ids, was = list(span.ids), turn.sequence.overwritten
    for column, token in zip(turn.columns, turn.tokens, strict=True):
        if turn.targets[0] <= column < turn.targets[1]:
            ids[column - span.lo] = was.get(column, token)
    return ids
