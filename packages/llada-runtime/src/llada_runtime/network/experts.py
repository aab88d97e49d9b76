"""Many MLPs of which a few work on each column: a mixture of experts (arXiv 1701.06538).

A column's experts are chosen by `routing`. The rows are sorted by expert, so that the weights of each that
was chosen are read once. Where there is no kernel for all of them (see `grouped`), they are run one by one,
with the host knowing how many rows each has; or while a CUDA graph is captured, all on all rows, of which
there are few then: for as long as reading the weights is what takes the time.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from llada_runtime.network.grouped import GroupedLinear, why_one_by_one
from llada_runtime.network.mlp import GatedMLP, swiglu
from llada_runtime.network.routing import Router
from llada_runtime.network.shape import Shape

__all__ = ["ExpertMLP", "in_order"]

_NUMBERS = 2**26  # that a batched product may make
_BATCHED = 64  # rows; beyond, experts multiply more for nothing than launching them one by one takes


class ExpertMLP(nn.Module):
    """``Σ weight · expert(x)`` over a column's experts, and ``shared(x)`` where there is one.

    Experts are gated MLPs. Their outputs are added up in float32, the best expert's first, and rounded once.
    On the CPU a column has the same bits in any company.

    Attributes:
        experts: their numbers.
        one_by_one_because: why no kernel runs all experts at once; None where one does.
    """

    def __init__(self, shape: Shape, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        experts = shape.experts
        assert experts is not None
        place = {"device": device, "dtype": dtype}
        self.router = Router(experts, shape.width, device=device)
        self.gate_up = GroupedLinear(experts.count, 2 * experts.width, shape.width, **place)
        self.down = GroupedLinear(experts.count, shape.width, experts.width, **place)
        self.shared: GatedMLP | None = None
        if experts.shared_width:
            self.shared = GatedMLP(replace(shape, mlp_width=experts.shared_width), **place)
        self.one_by_one_because = why_one_by_one(device, dtype, shape.width, experts.width)
        self.experts = experts

    @property
    def most_captured(self) -> int | None:
        """Columns up to which a CUDA graph of it saves time; None is any number."""
        return None if self.one_by_one_because is None else _BATCHED

    def tensors(self) -> dict[str, Tensor]:
        """Its weights as views: ``router.weight``, ``experts.N.gate.weight``, ``shared.gate.weight``, ..."""
        named = {f"router.{name}": tensor for name, tensor in self.router.tensors().items()}
        for index, (gate_up, down) in enumerate(zip(self.gate_up.plain, self.down.plain, strict=True)):
            gate, up = gate_up.chunk(2)
            parts = {"gate": gate, "up": up, "down": down}
            named |= {f"experts.{index}.{part}.weight": tensor for part, tensor in parts.items()}
        if self.shared is not None:
            named |= {f"shared.{name}": tensor for name, tensor in self.shared.tensors().items()}
        return named

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """``residual + mlp(x)``, both ``[N, d]``."""
        if not len(x):  # nothing is asked of the last layer where a forward fills the cache alone
            return residual
        weights, chosen = self.router(x)  # [N, k] each
        if self.one_by_one_because is None:
            mixed = self._grouped(x, weights, chosen)
        elif x.is_cuda and torch.cuda.is_current_stream_capturing():
            mixed = self._batched(x, weights, chosen)
        else:
            mixed = self._by_expert(x, weights, chosen)
        return self._onto(residual, x, mixed)

    def plainly(self, x: Tensor, residual: Tensor) -> Tensor:
        """The same, for what the rest is tested against: each expert on every column, no row moved."""
        weights, chosen = self.router(x)
        mixed = torch.zeros_like(x, dtype=torch.float32)
        for expert in range(self.experts.count):
            mine = chosen == expert  # [N, k], of which a row has one at most
            weight = weights.masked_fill(~mine, 0).sum(-1, keepdim=True)
            mixed = torch.where(mine.any(-1, keepdim=True), mixed + weight * self._expert(expert, x), mixed)
        return self._onto(residual, x, mixed)

    def _onto(self, residual: Tensor, x: Tensor, mixed: Tensor) -> Tensor:
        mixed = mixed.to(x.dtype)
        return residual + (mixed if self.shared is None else self.shared(x, mixed))

    def _by_expert(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Float32 ``[N, d]``, each expert on the rows that chose it."""
        rows, places, _ = _sorted(x, chosen)
        counts = torch.bincount(chosen.flatten(), minlength=self.experts.count).tolist()
        parts = [self._expert(expert, part) for expert, part in enumerate(rows.split(counts)) if len(part)]
        made, mixed = torch.cat(parts), torch.zeros_like(x, dtype=torch.float32)
        for place, weight in zip(places.unbind(1), weights.unbind(1), strict=True):
            mixed += made[place] * weight[:, None]  # a sum over k would add in an order that depends on N
        return mixed

    def _grouped(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Float32 ``[N, d]``, from two products of all experts; nothing is asked of the device."""
        rows, places, ends = in_order(x, chosen, self.experts.count)
        made = self.down(swiglu(self.gate_up(rows, ends)), ends)
        return (made[places] * weights[..., None]).sum(1)

    def _batched(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Float32 ``[N, d]``, from batched products of all rows by every weight, some experts at a time."""
        count, mixed = self.experts.count, torch.zeros_like(x, dtype=torch.float32)
        share = torch.zeros(len(x), count, device=x.device).scatter(1, chosen, weights)
        mine = torch.zeros_like(share, dtype=torch.bool).scatter(1, chosen, True)
        gate_up, down = (part.wide(x.dtype).transpose(1, 2) for part in (self.gate_up, self.down))
        together = max(1, _NUMBERS // (len(x) * max(gate_up.shape[2], down.shape[2])))
        for first in range(0, count, together):
            some = slice(first, min(first + together, count))
            rows = x.expand(some.stop - first, -1, -1)
            made = torch.bmm(swiglu(torch.bmm(rows, gate_up[some])), down[some])  # [experts, N, d]
            weighed = made * share[:, some].t()[..., None]
            mixed += torch.where(mine[:, some].t()[..., None], weighed, 0).sum(0)
        return mixed

    def _expert(self, index: int, x: Tensor) -> Tensor:
        return self.down.one(index, swiglu(self.gate_up.one(index, x)))


def in_order(x: Tensor, chosen: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """As `_sorted`, but for the last: where the rows of each of ``count`` experts end, int32 ``[E]``."""
    rows, places, whose = _sorted(x, chosen)
    every = torch.arange(count, device=x.device)
    return rows, places, torch.searchsorted(whose, every, right=True, out_int32=True)


def _sorted(x: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows that experts work on, ``[N k, d]``, by expert and then by column.

    Then where among them each choice of a column is, int64 ``[N, k]``, and whose they are, int64 ``[N k]``.
    """
    whose, order = chosen.flatten().sort(stable=True)
    numbers = torch.arange(len(order), device=order.device)
    places = torch.empty_like(order).scatter_(0, order, numbers).view_as(chosen)
    return x[order // chosen.shape[1]], places, whose
