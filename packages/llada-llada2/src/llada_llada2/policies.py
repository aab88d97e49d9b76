"""Which columns the forwards of a block cover. Attention is block-causal, so that nothing behind is needed.

A column sees its own block and all before it, so that the keys of a block are final once a forward has run on
its final tokens. The published code has no cache and runs all that is before the block again in every
forward. Here that is done once: where no forward of a block saw it as it ends, the first one of the next
block covers both, and so does that of the first block with the prompt. It is the same number of forwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from llada_core import ParameterError
from llada_runtime import Network, Plan, Policy, Sequence

__all__ = ["AtOnce", "Blocks", "Edited", "Grouped"]


def _covering(sequence: Sequence, lo: int) -> Plan:
    """A forward of the columns from ``lo`` to the end of the block, which is decided."""
    end = sequence.block_end
    return Plan(lo=lo, hi=end, end=end, reads=lo > 0, writes=True, stride=sequence.block_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks(Policy):
    """One forward after the other until no mask is left in the block, also behind the answer.

    With ``closing``, one more then runs on the full block, which leaves its final keys (SGLang's way).
    """

    closing: bool

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        start = sequence.block_start
        if sequence.block_nfe:
            return _covering(sequence, start)
        if sequence.block == 0:
            return _covering(sequence, 0)
        return _covering(sequence, start if self.closing else start - sequence.block_length)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return _covering(sequence, sequence.block_start)

    def stays(self, sequence: Sequence) -> bool:
        return bool(sequence.open_columns) or (self.closing and sequence.idle == 0)


@dataclass(slots=True)
class Ends:
    """How many end tokens were generated in a block, and whether the last forward wrote one."""

    block: int = -1
    count: int = 0
    written: bool = False


class AtOnce(Blocks):
    """`Blocks` that are left at the forward which writes an end token, where no mask is before the first."""

    def begin(self) -> Ends:
        return Ends()

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        ends: Ends = sequence.policy_state
        before = ends.count if ends.block == sequence.block else 0
        ends.block = sequence.block
        ends.count = sum(token in sequence.end_ids for token in _generated(sequence))
        ends.written = ends.count > before

    def stays(self, sequence: Sequence) -> bool:
        return bool(sequence.open_columns) and not (sequence.policy_state.written and _answered(sequence))


def _generated(sequence: Sequence) -> list[int]:
    """What stands in the block's columns behind the prompt."""
    return sequence.canvas[max(sequence.block_start, sequence.prompt_length) : sequence.block_end]


def _answered(sequence: Sequence) -> bool:
    """Whether an end token stands in the block with no mask before it."""
    first = next((t for t in _generated(sequence) if t in sequence.end_ids or t == sequence.mask_id), None)
    return first in sequence.end_ids


@dataclass(slots=True)
class Edits:
    """Where a block is that is edited.

    Attributes:
        final: columns, from the first, whose keys in the cache are final.
        full: no mask was left before the next forward.
        post: forwards of the block that found no mask. quiet: the last of them changed nothing.
    """

    final: int = 0
    full: bool = False
    post: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited(Policy):
    """Forwards go on when the block is full, until one changes nothing or ``most_post`` have run; None sets
    no limit, where the rule does.

    Where one changes nothing, the keys that it leaves are final; else the next block's first forward covers
    this one too.
    """

    most_post: int | None

    caches = True

    def __post_init__(self) -> None:
        if self.most_post is not None:
            _check("most_post", self.most_post, 0)

    def begin(self) -> Edits:
        return Edits()

    def plan(self, sequence: Sequence) -> Plan:
        return _covering(sequence, sequence.policy_state.final)

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        edits: Edits = sequence.policy_state
        if sequence.block_nfe == 1:
            edits.full, edits.post = False, 0
        edits.post += edits.full
        edits.quiet = edits.full and sequence.idle > 0
        edits.full = not sequence.open_columns
        edits.final = sequence.block_end if edits.quiet else sequence.block_start

    def stays(self, sequence: Sequence) -> bool:
        edits: Edits = sequence.policy_state
        spent = self.most_post is not None and edits.post >= self.most_post
        return not edits.full or not (edits.quiet or spent)


@dataclass(slots=True)
class Groups:
    """Whether the prompt has been run, and how many forwards there are until the block is looked at again;
    None before its first."""

    prefilled: bool = False
    left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped(Policy):
    """dInfer's: the prompt has a forward of its own, and those of a block come in groups.

    Between two looks at whether masks are left, ``max(min(masks // expected_tpf, maximum_unroll), 2)`` run,
    needed or not. Where the last of them filled the block, one more leaves its final keys. A prompt shorter
    than a block has the first forward too, though what it leaves is written again.
    Raises ``ParameterError`` for a number that is out of range, as `Edited`.
    """

    maximum_unroll: int
    expected_tpf: int

    caches = True

    def __post_init__(self) -> None:
        _check("maximum_unroll", self.maximum_unroll, 1)
        _check("expected_tpf", self.expected_tpf, 1)

    def begin(self) -> Groups:
        return Groups()

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.policy_state.prefilled:
            return _covering(sequence, sequence.block_start)
        end = sequence.block_start or sequence.block_end
        return Plan(lo=0, hi=end, end=end, writes=True, stride=sequence.block_length, targets=(0, 0))

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        groups: Groups = sequence.policy_state
        if not groups.prefilled:
            groups.prefilled = True
            return
        groups.left = (groups.left or self._group(sequence.block_open)) - 1
        if groups.left:
            return
        masks = len(sequence.open_columns)
        if masks:
            groups.left = self._group(masks)
        elif sequence.idle == 0:
            groups.left = 1  # it filled the block, and saw masks in it
        else:
            groups.left = None

    def stays(self, sequence: Sequence) -> bool:
        return sequence.policy_state.left is not None

    def _group(self, masks: int) -> int:
        return max(min(masks // self.expected_tpf, self.maximum_unroll), 2)


def _check(name: str, value: int, least: int) -> None:
    if value < least:
        raise ParameterError(
            f"{name}={value} is out of range; give {least} or more", parameter=name, value=value
        )
