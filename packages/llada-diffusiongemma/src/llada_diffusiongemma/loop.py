"""``CanvasLoop``: rows in flight on one DiffusionGemma, a canvas of one of them a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from llada_core import Step, StepLoop
from llada_core.faults import fault_of
from llada_core.generation.steps import Row
from llada_runtime.network.free_memory import free_bytes

from .memory import logit_bytes, mask_bytes
from .row import CanvasRow
from .settings import config_of

__all__ = ["CanvasLoop", "affordable_columns"]


class CanvasLoop(StepLoop):
    """Rows take turns: each writes a canvas in a forward of its own, and then the next one does.

    No row sees another, so that its answer is that of the row alone, bit for bit. Those that were cancelled
    leave between two canvases.

    Args:
        model: transformers' ``DiffusionGemmaForBlockDiffusion``.
        rows: how many may be in flight.
        columns: how many cached columns they may have together, such as every layer keeps; a row whose
            sliding layers keep their window alone takes fewer than it has tokens. The masks of a prompt,
            while it is read, are counted with them. None is what the device's memory holds.
    """

    def __init__(self, model: Any, *, rows: int, columns: int | None = None) -> None:
        self._model, self._limit = model, rows
        self._columns = affordable_columns(model) if columns is None else columns
        self._rows: deque[CanvasRow] = deque()

    @property
    def room(self) -> int:
        return self._limit - len(self._rows)

    @property
    def active(self) -> int:
        return len(self._rows)

    def refusal(self, row: Row) -> str | None:
        assert isinstance(row, CanvasRow)
        masks = self._masks([row])
        if row.columns + masks <= self._columns:
            return None
        beside = f" and the room of {masks} more while its prompt is read" if masks else ""
        return (
            f"it needs {row.columns} cached columns{beside}, and there is memory for {self._columns}; "
            "shorten the prompt, or give a smaller gen_length (max_tokens)"
        )

    def admit(self, row: Row) -> bool:
        assert isinstance(row, CanvasRow)
        rows = [*self._rows, row]
        if self.room > 0 and sum(each.columns for each in rows) + self._masks(rows) <= self._columns:
            self._rows.append(row)
        return row in self._rows

    def _masks(self, rows: Sequence[CanvasRow]) -> int:
        """What the masks of the longest prompt that is still to be read take, in columns such as every layer
        keeps: one prompt is read at a time."""
        longest = max(row.unread for row in rows)
        config, itemsize = config_of(self._model), int(self._model.dtype.itemsize)
        return -(-mask_bytes(config, longest, itemsize) // (config.kv_numbers(1) * itemsize))

    def cancel(self, row: Row) -> None:
        assert isinstance(row, CanvasRow)
        row.cancelled = True

    def step(self) -> list[Step]:
        """A canvas of the row that waits longest, and the end of those that were cancelled."""
        steps = []
        for row in self._rows:
            if row.cancelled:
                row.let_go()
                steps.append(Step.last(row.ticket, block=row.block))
        left = deque(row for row in self._rows if not row.cancelled)
        if left:
            steps.append(self._written(left[0]))
            left.rotate(-1)
        # Not before: where Ctrl-C ends a canvas, all rows are in flight as they were.
        ended = {step.ticket for step in steps if step.finished}
        self._rows = deque(row for row in left if row.ticket not in ended)
        return steps

    def _written(self, row: CanvasRow) -> Step:
        try:
            return row.write(self._model)
        except BaseException as exc:  # transformers may raise anything; it is its row's error
            return Step.last(row.ticket, block=row.block, error=fault_of(exc))


def affordable_columns(model: Any) -> int:
    """Columns, such as every layer keeps, whose keys and values the device's free memory holds beside one
    canvas's logits, a tenth kept aside."""
    config = config_of(model)
    free = free_bytes(model.device) * 9 // 10 - logit_bytes(config)
    return max(free, 0) // (config.kv_numbers(1) * int(model.dtype.itemsize))
