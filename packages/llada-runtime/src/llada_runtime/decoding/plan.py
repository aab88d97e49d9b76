"""The next forward of one sequence, as its policy wants it."""

from __future__ import annotations

from dataclasses import dataclass

from llada_core.errors import ContractError

__all__ = ["Plan"]

_COLUMNS = {int, type(None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Columns ``[lo, hi)`` of the next forward, and what it does with the sequence's cached keys and values.

    With ``reads``, all other columns' keys come from the cache; without, the forward covers the whole
    canvas. With ``writes``, the keys of ``[lo, hi)`` stay in the cache. A call that reads also writes: the
    columns it computes are recomputed by the next such call, so keeping them is free. With ``whole``, logits
    of all its columns are computed, for `Policy.after`, and not only those that decide.

    Attributes:
        end: the canvas ends here for this forward: what is behind is neither computed nor attended to.
            None is the whole canvas.
        stride: attention in strides of so many columns: a column attends to those of its own stride and of
            all before it. 1 is causal, a block's width block-causal; None attends to all.
        targets: columns ``[lo, hi)`` in which masks may be filled; None is the current block. An empty range
            is a forward that decides nothing.
        look: columns ``[lo, hi)`` whose logits are computed, for `Policy.after`: those that decide, and as
            many more as it is to see; None is those that decide.
        shift: how many columns before a target its logits are: 1 where the network predicts the next token.
        tail: which column of the canvas the last column of the call is, at its position there; what lies
            between the two is neither computed nor attended to, as what is behind ``end``. Its keys are kept
            where those of the last column of the call would be, which counts as not cached from then on.
            None is no other.
        canvases: the ids ``[lo, hi)`` of further canvases that run in the same forward, for `Policy.combine`.
            With ``reads`` each attends to its own keys of these columns and, of all others, to the cached
            ones, as the canvas itself does; with ``writes`` the canvas's are kept, and theirs are not.
        shadow: the targets run a second time in the same forward, as masks. Each of these sees all columns
            but the one in whose place it stands, and the canvas does not see them. By their logits
            `Rule.revoke` and `Rule.replace` judge what stands. Only without the cache.

    Raises ``ContractError`` for a plan that no sequence could follow.
    """

    lo: int
    hi: int
    reads: bool = False
    writes: bool = False
    whole: bool = False
    end: int | None = None
    stride: int | None = None
    targets: tuple[int, int] | None = None
    look: tuple[int, int] | None = None
    shift: int = 0
    tail: int | None = None
    canvases: tuple[tuple[int, ...], ...] = ()
    shadow: bool = False

    def __post_init__(self) -> None:
        lo, hi, end, stride = self.lo, self.hi, self.end, self.stride
        some = {type(end), type(stride), type(self.tail)}
        if not type(lo) is type(hi) is type(self.shift) is int or not some <= _COLUMNS:
            raise ContractError(f"{self} cannot be run: give columns as integers")
        if stride is not None and stride < 1:
            raise ContractError(f"{self} cannot be run: give a stride of 1 or more, or None")
        ranges = self.targets is not None or self.look is not None
        special = self.reads or self.canvases or self.shadow or ranges
        problem = self._contradiction() if special else None
        if problem is not None:
            raise ContractError(f"{self} cannot be run: {problem}")

    def _contradiction(self) -> str | None:
        for name, columns in (("targets", self.targets), ("look", self.look)):
            if columns is not None and [type(column) for column in columns] != [int, int]:
                return f"{name} are {columns!r}; give two columns"
        if self.look is not None and self.whole:
            return f"it looks at {self.look} and at the whole; give one of the two"
        if self.reads and not self.writes:
            return "it reads the cache and does not write; give writes=True too, which costs nothing more"
        if any(len(ids) != self.hi - self.lo for ids in self.canvases):
            return f"a further canvas has not {self.hi - self.lo} ids; give those of the columns lo to hi"
        left = (self.writes, self.canvases, self.stride is not None, self.shift, self.tail is not None)
        if self.shadow and any(left):
            return (
                "a shadow goes without writes, canvases, stride and shift, and without a tail; leave them out"
            )
        return None

    def targets_of(self, block: tuple[int, int]) -> tuple[int, int]:
        """The columns in which masks may be filled, where the current block is ``block``."""
        return block if self.targets is None else self.targets

    def fed(self, canvas: list[int]) -> list[int]:
        """The ids that its columns have on ``canvas``."""
        ids = canvas[self.lo : self.hi]
        if self.tail is not None:
            ids[-1] = canvas[self.tail]
        return ids

    def head_of(self, targets: tuple[int, int]) -> tuple[int, int]:
        """The columns whose logits are computed: one at least, so that a forward always has some."""
        lo, hi = targets
        if self.look is not None:
            return self.look
        if self.whole:
            return self.lo, self.hi
        return (lo - self.shift, hi - self.shift) if lo < hi else (self.hi - 1, self.hi)

    def problem(self, length: int, targets: tuple[int, int]) -> str | None:
        """Why a canvas of ``length`` columns cannot be run so, or None."""
        end = length if self.end is None else self.end
        if not 0 <= self.lo < self.hi <= end <= length:
            return f"it covers columns {self.lo} to {self.hi} of {end}, and the canvas has {length}"
        if not 0 <= targets[0] <= targets[1] <= length:
            return f"it decides columns {targets}, and the canvas has {length}"
        seen_lo, seen_hi = self.look or (self.lo, self.hi)
        if not self.lo <= seen_lo < seen_hi <= self.hi:
            return f"it looks at columns {seen_lo} to {seen_hi}, and covers {self.lo} to {self.hi}"
        if targets[0] < targets[1]:
            head_lo, head_hi = targets[0] - self.shift, targets[1] - self.shift
            if not seen_lo <= head_lo < head_hi <= seen_hi:
                return f"it decides {targets} from the logits of {head_lo} to {head_hi}, which it leaves out"
        if self.shadow and targets[0] == targets[1]:
            return "it has a shadow of no targets; give some, or leave the shadow out"
        if not self.reads and (self.lo, self.hi) != (0, end):
            return f"it reads no cache and leaves out columns of 0 to {end}, whose keys are then nowhere"
        return None if self.tail is None else self._problem_of_tail(self.tail, length, targets)

    def _problem_of_tail(self, tail: int, length: int, targets: tuple[int, int]) -> str | None:
        if not self.hi <= tail < length:
            return f"its last column is to be column {tail}; give one from {self.hi} to {length - 1}, or None"
        if self.end != self.hi or self.stride is not None:
            return f"its last column is column {tail}, and it goes in strides or does not end there"
        if targets[0] < targets[1] and targets[1] >= self.hi:
            return f"it decides {targets}, and its last column, {self.hi - 1}, is column {tail}"
        return None
