"""One sequence in one forward: what its policy plans, what comes back, what its rule keeps, and how it is
told."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.generation.results import Likeliest
from llada_core.generation.steps import Step
from llada_core.values import told
from llada_runtime.decoding.combiners import combines_one
from llada_runtime.decoding.plan import Plan
from llada_runtime.decoding.proposals import Proposals
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.network.cache import Extent
from llada_runtime.network.protocol import Network
from llada_runtime.network.spans import Span

__all__ = ["Turn", "by_logits", "complete", "keep", "planned", "step_of"]

_NOT_RUN = torch.empty(0)


@dataclass(slots=True, kw_only=True)
class Turn:
    """A plan that can be run, with its spans; later its logits, and what is kept of them.

    Attributes:
        targets: columns ``[lo, hi)`` that it decides.
        spans: its canvas, then the further ones of its plan.
        combines: whether its policy says what is made of the logits of its canvases.
        logits: ``[head columns, V]``, once it has run; of several canvases all of theirs, until its policy
            has combined them.
        shadow: the logits of its plan's shadow, ``[targets, V]``.
        columns, tokens, confidence: what is written. revoked: columns whose token is taken back before.
        alternatives: of each of ``columns``, where the sequence wants them told.
        log_probabilities, drawn_log_probabilities: of each of ``columns`` where the sequence is traced and
            they do not follow from the confidence.
    """

    sequence: Sequence
    plan: Plan
    targets: tuple[int, int]
    spans: list[Span]
    combines: bool = False
    logits: Tensor = _NOT_RUN
    shadow: Tensor = _NOT_RUN
    columns: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)
    alternatives: list[Likeliest] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    drawn_log_probabilities: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Packed columns of the forward that are its own."""
        return sum(span.width for span in self.spans)

    @property
    def decides(self) -> bool:
        return self.targets[0] < self.targets[1]

    @property
    def deciding(self) -> Tensor:
        """The logits of its targets, ``[hi - lo, V]``."""
        if not self.plan.whole and self.plan.look is None:
            return self.logits
        first = self.plan.head_of(self.targets)[0] + self.plan.shift
        return self.logits[self.targets[0] - first : self.targets[1] - first]

    @property
    def head_width(self) -> int:
        """Columns of its canvas whose logits are computed, without those of its shadow."""
        return self.spans[0].head_hi - self.spans[0].head_lo

    def take(self, logits: Tensor) -> None:
        """Take over the logits of its spans, ``[columns, V]``."""
        self.logits = logits
        if self.plan.shadow:
            own = len(logits) - (self.targets[1] - self.targets[0])
            self.logits, self.shadow = logits[:own], logits[own:]

    def forget(self) -> None:
        """Let go of logits, as before it was run."""
        self.logits = self.shadow = _NOT_RUN


def planned(sequence: Sequence, extent: Extent | None, network: Network) -> Turn:
    """The sequence's next turn. Raises ``ContractError`` for one that cannot be run, and what the policy
    raises."""
    policy = sequence.policy
    plan: Any = policy.plan(sequence)
    if not isinstance(plan, Plan):
        raise ContractError(f"{type(policy).__name__}.plan returned {told(plan)}; return a Plan")
    targets = plan.targets_of((sequence.block_start, sequence.block_end))
    problem = plan.problem(sequence.length, targets)
    if plan.writes and extent is None:
        problem = "it writes to the cache, and the policy says that it does not cache"
    if plan.reads and problem is None:
        problem = _unwritten(sequence, plan)
    if any(not 0 <= min(ids) <= max(ids) < network.config.embedding_size for ids in plan.canvases if ids):
        problem = "a further canvas holds an id that is out of the vocabulary"
    if problem is not None:
        raise ContractError(f"{type(policy).__name__} planned what cannot be run: {problem}")
    canvas = _canvas(sequence, plan, targets, extent, network)
    cached = extent if plan.reads else None
    further = [
        replace(canvas, ids=ids, extent=cached, apart=plan.reads, inputs=None) for ids in plan.canvases
    ]
    combines = combines_one(policy) or bool(further)
    return Turn(sequence=sequence, plan=plan, targets=targets, spans=[canvas, *further], combines=combines)


def _canvas(
    sequence: Sequence, plan: Plan, targets: tuple[int, int], extent: Extent | None, network: Network
) -> Span:
    """What the plan, which can be run, brings of the sequence's own canvas."""
    ids, (head_lo, head_hi) = plan.fed(sequence.canvas), plan.head_of(targets)
    if plan.shadow:
        ids += [sequence.mask_id] * (targets[1] - targets[0])
    return Span(
        ids=ids,
        lo=plan.lo,
        hi=plan.hi,
        length=sequence.length if plan.end is None else plan.end,
        head_lo=head_lo,
        head_hi=head_hi,
        extent=extent if plan.writes else None,
        reads=plan.reads,
        stride=plan.stride,
        tail=plan.tail,
        inputs=_inputs(sequence, plan, network),
        shadow=targets if plan.shadow else None,
    )


def _unwritten(sequence: Sequence, plan: Plan) -> str | None:
    """Which columns the plan would read that no forward of the row has cached, and what to do; or None."""
    end = sequence.length if plan.end is None else plan.end
    if plan.stride is not None:  # no column of it sees further
        end = min(end, -(-plan.hi // plan.stride) * plan.stride)
    for lo, hi in ((0, plan.lo), (plan.hi, end)):
        column = sequence.cached.find(0, lo, hi)
        if column >= 0:
            return (
                f"it reads column {column} from the cache, which no forward of this row has written; "
                "first plan one that writes it"
            )
    return None


def _inputs(sequence: Sequence, plan: Plan, network: Network) -> Tensor | None:
    """What the policy feeds instead of embeddings, known to be of their shape."""
    given: Any = sequence.policy.inputs(sequence, plan)
    if given is None:
        return None
    one = network.embed(torch.zeros(1, dtype=torch.int64, device=network.device))  # [1, d]
    wanted = (plan.hi - plan.lo, one.shape[-1])
    fits = isinstance(given, Tensor) and (tuple(given.shape), given.device) == (wanted, one.device)
    if not fits or not given.is_floating_point():
        raise ContractError(
            f"{type(sequence.policy).__name__}.inputs returned {told(given)}; return embeddings "
            f"{list(wanted)} on {one.device}, or None"
        )
    assert isinstance(given, Tensor)
    return given


def keep(turns: list[Turn], proposals: Proposals, kept: Tensor) -> None:
    """Give each turn those of its proposals ``[R, L]`` that are ``kept``, read for all rows at once."""
    places, tokens, confidence = kept.nonzero(), proposals.tokens[kept], proposals.confidence[kept]
    found = zip(places.tolist(), tokens.tolist(), confidence.tolist(), strict=True)
    for (row, offset), token, sure in found:
        turn = turns[row]
        turn.columns.append(turn.targets[0] + offset)
        turn.tokens.append(token)
        turn.confidence.append(sure)


def complete(turn: Turn, network: Network) -> None:
    """Write on the sequence what the turn keeps, note what was computed and is cached, and let it move on.

    Raises ``NoProgress``, and what the policy raises.
    """
    sequence, plan = turn.sequence, turn.plan
    block = sequence.block
    own = (plan.lo, plan.hi) == (sequence.block_start, sequence.block_end)
    sequence.computed.count(turn.width, reads=plan.reads, block=own)
    sequence.commit(turn.columns, turn.tokens, turn.revoked, decides=turn.decides)
    if plan.writes:
        sequence.cached[plan.lo : plan.hi] = b"\1" * (plan.hi - plan.lo)
        if plan.tail is not None:  # whose keys are in the place of another column's
            sequence.cached[plan.hi - 1] = 0
        if not plan.reads:
            sequence.cached_block = block
    sequence.show(plan, turn.logits, network)
    sequence.advance()


def by_logits(sequence: Sequence) -> bool:
    """Whether the sequence is traced, and the logarithms of what it writes do not follow from the confidence.

    They do where the likeliest token is taken of the logits as they are: that is never so improbable that it
    counts as 0.
    """
    return sequence.traced and bool(sequence.temperature or sequence.rescores or sequence.revokes)


def step_of(turn: Turn, block: int, error: Exception | None) -> Step:
    """What one forward changed, as offsets into the answer; what is behind the answer is not told."""
    sequence = turn.sequence
    begin, end = sequence.prompt_length, sequence.answer_end
    shown = bisect_left(turn.columns, end)
    network, drawn = turn.log_probabilities, turn.drawn_log_probabilities
    if sequence.traced and not by_logits(sequence):
        network, drawn = [math.log(sure) for sure in turn.confidence], [0.0] * len(turn.columns)
    return Step(
        ticket=sequence.ticket,
        block=block,
        positions=tuple([column - begin for column in turn.columns[:shown]]),
        tokens=tuple(turn.tokens[:shown]),
        confidence=tuple(turn.confidence[:shown]),
        nfe=sequence.nfe,
        settled=sequence.settled,
        finished=sequence.finished or error is not None,
        revoked=tuple([column - begin for column in turn.revoked if column < end]),
        inserted=tuple([(column - begin, count) for column, count in sequence.inserted]),
        gen_length=sequence.gen_length,
        alternatives=tuple(turn.alternatives[:shown]),
        log_probabilities=tuple(network[:shown]),
        drawn_log_probabilities=tuple(drawn[:shown]),
        error=error,
    )
