"""The part of a layer that works on each column alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_runtime.network.linear import Linear
from llada_runtime.network.shape import Shape

__all__ = ["GatedMLP", "swiglu"]


_SERIAL = 32767  # numbers that torch leaves to one thread


class GatedMLP(nn.Module):
    """``down(silu(gate(x)) * up(x))``: SwiGLU (arXiv 2002.05202), gate and up as one product."""

    def __init__(self, shape: Shape, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.gate_up = Linear(2 * shape.mlp_width, shape.width, device=device, dtype=dtype)
        self.down = Linear(shape.width, shape.mlp_width, device=device, dtype=dtype)

    def tensors(self) -> dict[str, Tensor]:
        """Its weights, those of gate and up as views of the fused one."""
        gate, up = self.gate_up.plain.chunk(2)
        return {"gate.weight": gate, "up.weight": up, "down.weight": self.down.plain}

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """``residual + mlp(x)``, both ``[N, d]``."""
        return self.down.onto(swiglu(self.gate_up(x)), residual)


def swiglu(gate_up: Tensor) -> Tensor:
    """``silu(gate) * up`` of both beside each other, ``[N, 2 w]`` to ``[N, w]``."""
    gate, up = gate_up.chunk(2, dim=-1)
    return _silu(gate) * up


def _silu(gate: Tensor) -> Tensor:
    """On the CPU so few rows at a time that one thread does them.

    Between threads torch divides numbers and not rows, and the last few of a share it rounds in another way.
    """
    rows = max(1, _SERIAL // gate.shape[1])
    if gate.device.type != "cpu" or len(gate) <= rows or torch.get_num_threads() == 1:
        return F.silu(gate)
    return torch.cat([F.silu(part) for part in gate.split(rows)])
