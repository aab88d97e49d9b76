"""The decoding loop: admit → plan → forward → commit → emit, for any mix of sequences.

The loop does not know algorithms. It asks every sequence's policy for a plan, runs all plans in one packed
forward, asks every sequence's rule what to keep, and emits one `Step` a sequence. Whatever a policy or a rule
raises ends its own sequence and no other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llada_core.errors import GenerationError, UsageError
from llada_core.faults import fault_of, one_line
from llada_core.generation.steps import Row, Step, StepLoop
from llada_runtime.decoding.ahead import Ahead, outcome, read
from llada_runtime.decoding.choice import kept_of
from llada_runtime.decoding.combining import hand_out
from llada_runtime.decoding.endings import tell_end, tell_growth
from llada_runtime.decoding.glance import Glance, likeliest_of, may_glance
from llada_runtime.decoding.proposals import propose
from llada_runtime.decoding.reviewing import review
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.traces import trace
from llada_runtime.decoding.turn import Turn, complete, keep, planned, step_of
from llada_runtime.network.cache import Extent, KVCache
from llada_runtime.network.layout import Layout
from llada_runtime.network.likeliest import Likeliest
from llada_runtime.network.protocol import Network
from llada_runtime.network.shortage import give_back, is_out_of_memory
from llada_runtime.network.spans import Span

__all__ = ["Loop"]

_Faults = dict[Sequence, Exception]
"""Who fails in this step, and why."""

_RECOVERY = 1 / 512  # the part of a limit set by memory that comes back with every forward that met it


class Loop(StepLoop):
    """Sequences in flight on one network. A sequence may be admitted between any two steps.

    Args:
        model: the network.
        rows: how many sequences may be in flight.
        columns: how many columns of keys and values they may hold together; None is what the device's memory
            has room for when the first is needed, and at most ``rows`` times the model's limit.
    """

    def __init__(self, model: Network, *, rows: int, columns: int | None = None) -> None:
        self.model, self.rows = model, rows
        self._asked = self._columns = columns
        self._sequences: list[Sequence] = []
        self._cache: KVCache | None = None
        self._extents: dict[Sequence, Extent] = {}
        self._layout: Layout | None = None
        self._ahead: Ahead | None = None  # what has been launched for the next step
        self._widest: float | None = None  # packed columns that fit into a forward; None until one did not

    @property
    def room(self) -> int:
        return self.rows - len(self._sequences)

    @property
    def active(self) -> int:
        return len(self._sequences)

    @property
    def columns(self) -> int:
        """The budget of cached columns. Memory is taken as sequences are admitted."""
        if self._cache is not None:
            return self._cache.columns
        if self._columns is None:
            most = self.rows * self.model.config.max_sequence_length
            self._columns = min(most, self.model.affordable_columns())
        return self._columns

    def refusal(self, row: Row) -> str | None:
        if not row.columns or row.columns <= self.columns:
            return None
        return (
            f"prompt and answer take {row.columns} cached columns, and there is memory for {self.columns}; "
            "shorten them, give the loop more columns, or take an algorithm that does not cache"
        )

    def admit(self, row: Row) -> bool:
        """Whether the sequence takes part from now on; False where it must wait until others have left.

        Raises:
            UsageError: it is in this loop already, or is no sequence of this runtime.
        """
        if not isinstance(row, Sequence) or row in self._sequences:
            raise UsageError(f"{row!r} cannot be admitted; give a Sequence that is in no loop yet")
        if not self.room or not self._reserve(row):
            return False
        self._sequences.append(row)
        return True

    def cancel(self, row: Row) -> None:
        assert isinstance(row, Sequence)
        row.cancel()

    @torch.inference_mode()
    def step(self) -> list[Step]:
        """Run one forward: what each sequence keeps, in the order of admission, and then who failed."""
        steps = [Step.last(s.ticket, block=s.block) for s in self._sequences if s.finished]
        self._retire()
        faults: _Faults = {}
        turns: list[Turn] = []
        # Loops and no comprehensions: what those close over, the frames of an error would keep alive.
        for sequence in self._sequences:
            self._plan(sequence, turns, faults)
        for turn in self._forward(turns, faults):
            if turn.sequence not in faults:
                steps.append(self._commit(turn, faults))
        told = {step.ticket for step in steps}
        steps += [
            Step.last(s.ticket, block=s.block, error=error)
            for s, error in faults.items()
            if s.ticket not in told
        ]
        self._retire(faults)
        return steps

    def _reserve(self, sequence: Sequence) -> bool:
        """Whether the cache has the columns that the sequence needs; they are its own then."""
        needed = sequence.columns
        if not needed:
            return True
        if not self._extents and needed > self.columns and self._cache is not None:
            # Memory ran out, and nobody holds any: perhaps there is more of it by now.
            self._cache, self._columns = None, self._asked
        if self._cache is None:
            self._cache = self.model.new_cache(columns=self.columns)
        if needed > self._cache.free:
            return False
        try:
            self._extents[sequence] = self._cache.take(needed)
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
        return sequence in self._extents  # the cache has lowered its budget where memory ran out

    def _retire(self, faults: _Faults | None = None) -> None:
        """Let go of the sequences that have ended."""
        for sequence in [s for s in self._sequences if s.finished or s in (faults or {})]:
            self._sequences.remove(sequence)
            sequence.forget()
            extent = self._extents.pop(sequence, None)
            if extent is not None and self._cache is not None:
                self._cache.release(extent)
        if not self._sequences:
            self._widest = self._ahead = None

    def _plan(self, sequence: Sequence, turns: list[Turn], faults: _Faults) -> None:
        try:
            turns.append(planned(sequence, self._extents.get(sequence), self.model))
        except BaseException as exc:  # a policy may raise anything; it is its row's fault
            faults[sequence] = fault_of(exc)

    def _forward(self, turns: list[Turn], faults: _Faults) -> list[Turn]:
        """Run and decide as many of the turns, in their order, as memory holds, and return those."""
        while turns:
            part = self._fitting(turns)
            try:
                deciding, found = self._run(part, faults)
            except BaseException as exc:
                fault = fault_of(exc)
            else:
                self._decide(deciding, found, faults)
                return [turn for turn in part if turn.sequence not in faults]
            if not is_out_of_memory(fault):
                turns = self._without_culprits(turns, part, fault, faults)
                continue
            fault.with_traceback(None)  # its frames would hold on to the memory that ran out
            for turn in part:
                turn.forget()
            if len(part) == 1:
                faults[part[0].sequence] = fault
                turns = turns[1:]
            else:
                self._widest = sum(turn.width for turn in part) / 2
            give_back(self.model.device)
        return []

    def _without_culprits(
        self, turns: list[Turn], part: list[Turn], fault: Exception, faults: _Faults
    ) -> list[Turn]:
        """The turns but those that make the network fail by themselves; none where all do, or none does."""
        wrong: _Faults = {part[0].sequence: fault} if len(part) == 1 else {}
        for turn in part if len(part) > 1 else []:
            try:
                self._run([turn], faults)
            except BaseException as exc:  # of what the row brings, or of the network
                wrong[turn.sequence] = fault_of(exc)
        if len(wrong) in (0, len(turns)):
            self._break(fault, faults)
            return []
        faults.update({sequence: exc for sequence, exc in wrong.items() if sequence not in faults})
        return [turn for turn in turns if turn.sequence not in wrong]

    def _fitting(self, turns: list[Turn]) -> list[Turn]:
        """The first turns that a forward holds: one at least, so that the oldest row goes on."""
        if self._widest is None:
            return turns
        total, count = turns[0].width, 1
        while count < len(turns) and total + turns[count].width <= self._widest:
            total += turns[count].width
            count += 1
        if count < len(turns):
            self._widest *= 1 + _RECOVERY
        return turns[:count]

    def _break(self, fault: Exception, faults: _Faults) -> None:
        """End every row by a fault of the network, whose cache may hold anything now."""
        told = GenerationError(f"the network failed: {one_line(fault)}")
        told.__cause__ = fault
        faults.update({sequence: told for sequence in self._sequences if sequence not in faults})
        self._cache = self._layout = self._ahead = None
        self._extents.clear()

    def _run(self, turns: list[Turn], faults: _Faults) -> tuple[list[Turn], Tensor | Glance]:
        """Run one packed forward. Returns the turns that decide something, and what they decide by: a copy of
        their logits, or a glance at these where that is enough.

        It changes no sequence, so that it may be run again with fewer where memory does not hold it.
        """
        spans = [span for turn in turns for span in turn.spans]
        enough = likeliest_of(turns, self.model.device)
        packed = self._packed(turns, spans, enough)
        if enough is not None:
            return turns, Glance.of(packed, turns)
        faults.update(hand_out(turns, packed))
        deciding = [turn for turn in turns if turn.decides and turn.sequence not in faults]
        decided = [turn.deciding for turn in deciding]
        if may_glance(deciding, self.model.device):
            as_run = sum(map(len, decided)) == len(packed) and not any(turn.combines for turn in turns)
            logits = packed if as_run else torch.cat(decided)
            return deciding, Glance.of(Likeliest(deciding[0].sequence.mask_id)(logits), deciding)
        logits = torch.cat(decided) if deciding else packed[:0]
        if any(turn.sequence.rescores for turn in deciding):
            logits = logits.float()
        return deciding, logits

    def _packed(self, turns: list[Turn], spans: list[Span], enough: Likeliest | None) -> Tensor:
        """The logits of the spans' head columns, or what is ``enough`` of them, computed ahead or now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.outcome is not None and ahead.wanted == enough and ahead.is_of(turns):
            self._layout = ahead.layout
            return ahead.outcome
        self._layout = Layout.of(
            spans, device=self.model.device, merge=self.model.merges, previous=self._layout
        )
        return outcome(self.model, self._layout, self._cache, enough)

    def _decide(self, turns: list[Turn], found: Tensor | Glance, faults: _Faults) -> None:
        """What each turn keeps of what the network proposes for its targets, and what it takes back."""
        if not turns:
            return
        sequences = [turn.sequence for turn in turns]
        if isinstance(found, Glance):
            assert self._layout is not None
            proposals, kept, self._ahead = read(turns, found, self._layout, self.model, self._cache)
        else:
            proposals = propose(found, sequences, [turn.targets for turn in turns])
            kept = kept_of(sequences, proposals)
        keep(turns, proposals, kept)
        review(turns, proposals.logits, proposals.faults)
        trace(turns, proposals.logits, proposals.faults)
        faults.update({sequences[row]: fault for row, fault in proposals.faults.items()})

    def _commit(self, turn: Turn, faults: _Faults) -> Step:
        sequence, block = turn.sequence, turn.sequence.block
        try:
            complete(turn, self.model)
        except BaseException as exc:  # of the policy, or that it gets nowhere: what was kept is told anyway
            faults[sequence] = fault_of(exc)
        if sequence.inserted:
            tell_growth(turn)
        if sequence.overwritten:
            tell_end(turn)
        return step_of(turn, block, faults.get(sequence))
