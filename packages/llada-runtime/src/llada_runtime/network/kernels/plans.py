"""How the kernels are cut for so many columns, as measured on an H200 in the shape of LLaDA-8B."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MANY", "ExpertPlan", "Plan", "Tiling", "expert_plan_for", "plan_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How a product is cut: ``outputs`` and ``inputs`` a tile, ``splits`` of the inputs over programs, and
    tiles in flight (``stages``)."""

    outputs: int
    inputs: int
    splits: int = 1
    stages: int = 4
    warps: int = 4

    def fits(self, inputs: int) -> bool:
        """Whether a product of so many inputs can be cut so."""
        return inputs % (self.splits * self.inputs) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the products and the attention of a forward are cut.

    Attributes:
        qkv, out, gate_up, down, head: of products; None is cuBLAS, followed by what a fused product saves.
        block: queries and keys that a program of the attention handles at a time.
        stages: of its loop.
        overlap: each kernel starts while the one before it still runs.
    """

    qkv: Tiling | None = None
    out: Tiling | None = None
    gate_up: Tiling | None = None
    down: Tiling | None = None
    head: Tiling | None = None
    block: tuple[int, int] = (32, 64)
    stages: int = 3
    overlap: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertPlan:
    """How the products of a layer's experts are cut: ``rows`` of an expert at a time, by a program, and
    ``lanes`` programs beside each other, which read one weight at about the same time."""

    gate_up: Tiling
    down: Tiling
    rows: int
    lanes: int = 1

    def fits(self, width: int, hidden: int) -> bool:
        """Whether experts with so many channels inside, of a stream of ``width``, can be cut so."""
        cut = hidden % (self.gate_up.outputs // 2) == width % self.down.outputs == 0
        return cut and self.gate_up.fits(width) and self.down.fits(hidden)


FEW = Plan(
    qkv=Tiling(outputs=64, inputs=128, stages=3),
    out=Tiling(outputs=64, inputs=256, splits=2, stages=4),
    gate_up=Tiling(outputs=64, inputs=128, stages=3),
    down=Tiling(outputs=64, inputs=128, splits=2, stages=6),
    head=Tiling(outputs=64, inputs=64, stages=6),
    block=(64, 64),
)
"""Up to 32 columns."""

TWICE = Plan(
    qkv=Tiling(outputs=128, inputs=64, stages=6),
    out=Tiling(outputs=64, inputs=128, splits=2, stages=4),
    gate_up=Tiling(outputs=64, inputs=128, stages=2),
    down=Tiling(outputs=64, inputs=128, splits=2, stages=4),
    head=Tiling(outputs=64, inputs=128, stages=6),
    block=(32, 128),
)
"""Up to 64 columns."""

FEW_HALVES = Plan(
    qkv=Tiling(outputs=64, inputs=128, stages=6),
    out=Tiling(outputs=64, inputs=128, splits=2, stages=6),
    gate_up=Tiling(outputs=64, inputs=128, stages=4),
    down=Tiling(outputs=64, inputs=128, splits=2, stages=8),
    head=Tiling(outputs=64, inputs=128, stages=4),
    block=(32, 64),
)
"""Up to 32 columns in fp8 halves, by weights of fp8."""

TWICE_HALVES = Plan(
    qkv=Tiling(outputs=64, inputs=128, stages=4),
    out=Tiling(outputs=64, inputs=128, splits=4, stages=4),
    gate_up=Tiling(outputs=64, inputs=128, stages=3),
    down=Tiling(outputs=128, inputs=128, splits=4, stages=6, warps=8),
    head=Tiling(outputs=64, inputs=128, stages=3),
    block=(32, 128),
)
"""Up to 64 columns so."""

MANY = Plan(overlap=False)
"""More: cuBLAS is faster, and kernels are long enough not to overlap."""


def plan_for(columns: int, *, halves: bool = False) -> Plan:
    """How a forward of so many columns is cut; ``halves`` are those of `Split` activations."""
    if columns <= 32:
        return FEW_HALVES if halves else FEW
    if columns <= 64:
        return TWICE_HALVES if halves else TWICE
    return MANY


_NARROW, _DEEP = Tiling(outputs=64, inputs=128, stages=3), Tiling(outputs=64, inputs=128)
_WIDE, _WIDE_HALVES = Tiling(outputs=128, inputs=64), Tiling(outputs=128, inputs=128, warps=8)


def expert_plan_for(pairs: int, experts: int, *, halves: bool = False) -> ExpertPlan:
    """How products of so many pairs of a column and one of so many experts are cut.

    As measured in the shapes of LLaDA2-mini and LLaDA-MoE; ``halves`` are those of `Split` activations.
    """
    each = pairs / experts
    if each <= 16:
        rows = (8 if each <= 3 else 16) if halves else (16 if each <= 8 else 32)
        return ExpertPlan(gate_up=_DEEP, down=_NARROW, rows=rows)
    rows, (gate_up, down) = (32, (_DEEP, _WIDE_HALVES)) if halves else (64, (_WIDE, _WIDE))
    lanes = min(4, math.ceil(1.3 * each / rows))  # few experts have more rows than these
    return ExpertPlan(gate_up=gate_up, down=down, rows=rows, lanes=lanes)
