"""How far behind the block a forward sees: a policy around another that leaves out what lies further.

Source: the suffix pruning of Streaming-dLLM (arXiv 2601.17917; xiaoshideta/Streaming-dLLM @ c4320c2,
``LLaDA-1.5/generate.py``), with which the answer's very last column is seen too. Only masks are left out:
with fixed text in the answer the window reaches to its end.
"""

from __future__ import annotations

from dataclasses import replace

from llada_core import ContractError
from llada_runtime import Around, Plan, Policy, Sequence

__all__ = ["Horizon"]


class Horizon(Around):
    """What ``base`` plans, as if the answer ended ``window`` columns behind the block.

    Where it is ``far``, the answer's last column is computed as well, at its own position, so that its length
    is known; the base's plans are to reach to the end of the canvas then. A column that the window comes to
    reach, and that no forward has cached, is computed with what is before it. A plan that has an ``end`` of
    its own stays as it is.
    """

    def __init__(self, base: Policy, window: int, *, far: bool) -> None:
        super().__init__(base)
        self.window, self.far = window, far

    def plan(self, sequence: Sequence) -> Plan:
        return self._seen(sequence, self.base.plan(sequence), sequence.cached)

    def then(self, sequence: Sequence, plan: Plan) -> Plan | None:
        after = self.base.then(sequence, plan)
        # What the forward that runs sees is cached by then, of which the sequence does not know yet.
        return None if after is None else self._seen(sequence, after, b"")

    def _seen(self, sequence: Sequence, plan: Plan, cached: bytes | bytearray) -> Plan:
        """What is left of the base's plan, where columns are to be computed that are 0 in ``cached``."""
        if plan.end is not None:
            return plan
        last = sequence.length - 1 if self.far else sequence.length
        near = min(self._near(sequence, last), last)
        return self._with_last(plan, near, last) if self.far else self._within(sequence, plan, near, cached)

    def _with_last(self, plan: Plan, near: int, last: int) -> Plan:
        """The plan up to column ``near``, and the ``last``. Raises ``ContractError`` where that is not
        computed."""
        if plan.hi <= last:
            raise ContractError(
                f"{type(self.base).__name__} reads the last column from the cache, where it has no place of "
                "its own; give a policy whose plans reach to the end of the canvas, or a window without it"
            )
        if near == last:
            return plan
        ids = tuple((*canvas[: near - plan.lo], canvas[-1]) for canvas in plan.canvases)
        return replace(plan, hi=near + 1, end=near + 1, tail=last, canvases=ids)

    def _within(self, sequence: Sequence, plan: Plan, near: int, cached: bytes | bytearray) -> Plan:
        """The plan up to column ``near``, and as far as something has yet to be cached there."""
        hi = min(near, max(plan.hi, 1 + cached.rfind(0, plan.hi, near)))
        ids = tuple(canvas[: hi - plan.lo] for canvas in plan.canvases)
        return replace(plan, hi=hi, end=None if near == sequence.length else near, canvases=ids)

    def _near(self, sequence: Sequence, last: int) -> int:
        """Column after the window: from there up to ``last`` there are masks only."""
        near = sequence.block_end + self.window
        if sequence.canvas[near:last].count(sequence.mask_id) >= last - near:
            return near
        return 1 + max(c for c in range(near, last) if sequence.canvas[c] != sequence.mask_id)
