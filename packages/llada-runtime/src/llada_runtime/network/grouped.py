"""Products of rows in groups, each group with a weight of its own: what the experts of a layer multiply by.

One product a group, with the bits of a `Linear` of its own; on GPUs that have it, torch's kernel for all
groups at once, which reads the weights of no group that is empty and asks the host for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from llada_core.imports import LazyModule
from llada_runtime.network.eight_bits import dequantised, quantised
from llada_runtime.network.kept_products import bound_kept_products
from llada_runtime.network.linear import packed_weight, product, write_rows
from llada_runtime.network.machine import why_no_kernels
from llada_runtime.network.unfilled import unfilled

if TYPE_CHECKING:
    from llada_runtime.network import kernels
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["GroupedLinear", "why_one_by_one"]

_TOGETHER = 16  # rows of bfloat16 at a time on the CPU: a group has few, and its matrix unit takes as many
_ALIGNED = 8  # numbers of bfloat16 in 16 bytes, which rows of weights must be multiples of


def why_one_by_one(device: torch.device, dtype: torch.dtype, *widths: int) -> str | None:
    """Why products of these widths run one by one; None where one kernel runs them all."""
    if device.type != "cuda" or torch.version.hip is not None:
        return f"the device is {device.type}, and the grouped product is for NVIDIA's GPUs"
    if not hasattr(torch, "_grouped_mm"):
        return f"torch {torch.__version__} has no grouped product; install torch 2.9 or later"
    if torch.cuda.get_device_capability(device)[0] not in (9, 10):
        return f"the grouped product is for Hopper and B200, and this is {torch.cuda.get_device_name(device)}"
    if dtype != torch.bfloat16:
        return f"the weights are {str(dtype).removeprefix('torch.')}, and it multiplies bfloat16"
    odd = next((width for width in widths if width % _ALIGNED), None)
    return None if odd is None else f"{odd} channels are not a multiple of {_ALIGNED}, as it wants them"


class GroupedLinear(nn.Module):
    """``y = x Wᵀ`` for inference, with a weight for each group of rows.

    Attributes:
        weight: ``[E, out, in]``; None once it is packed.
        scale: float32 ``[E, out]``, by which weights of eight bits are to be multiplied; None for others.
    """

    weight: nn.Parameter | None
    scale: nn.Parameter | None

    def __init__(
        self, groups: int, out_features: int, in_features: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.groups, self.out_features, self.in_features = groups, out_features, in_features
        self.weight = unfilled(groups, out_features, in_features, device=device, dtype=dtype)
        self.scale = None
        self._packed: list[Tensor] = []  # of each group, in the CPU's blocked layout

    @property
    def plain(self) -> Tensor:
        """The weights ``[E, out, in]`` as published; they exist until they are packed or quantised."""
        assert self.scale is None, "the plain weights are gone once they are quantised"
        return self.stored

    @property
    def stored(self) -> Tensor:
        """The weights ``[E, out, in]`` as they are kept, of eight bits too; gone once they are packed."""
        assert self.weight is not None, "the plain weights are gone once they are packed"
        return self.weight

    def quantise(self, kind: str) -> None:
        """Put the weights in eight bits, "fp8" or "int8", freeing the plain ones. Comes before packing."""
        weight, scale = quantised(self.plain.detach().flatten(0, 1), kind)
        whole = weight.unflatten(0, (self.groups, self.out_features))
        self.weight = nn.Parameter(whole, requires_grad=False)
        self.scale = nn.Parameter(scale.unflatten(0, (self.groups, self.out_features)), requires_grad=False)

    def pack(self) -> None:
        """As `Linear.pack`, each group by itself."""
        if self.weight is None:
            return
        if self.weight.device.type == "cpu":
            bound_kept_products()
        if self.scale is not None:
            return
        packed = [packed_weight(weight) for weight in self.weight.detach()]
        self._packed = [each for each in packed if each is not None]
        if self._packed:
            self.weight = None

    def unpack(self) -> None:
        """As `Linear.unpack`."""
        if self._packed:
            plain = torch.stack([each.to_dense() for each in self._packed])
            self.weight, self._packed = nn.Parameter(plain, requires_grad=False), []

    def write(self, first: int, weight: Tensor) -> None:
        """As `Linear.write`, with outputs counted through all groups."""
        self.unpack()
        assert self.weight is not None
        scale = None if self.scale is None else self.scale.flatten()
        write_rows(self.weight.flatten(0, 1), scale, first, weight)

    def forget(self) -> None:
        """As `Linear.forget`."""
        if self._packed:
            whole = (self.groups, self.out_features, self.in_features)
            nowhere = torch.empty(whole, device="meta", dtype=self._packed[0].dtype)
            self.weight, self._packed = nn.Parameter(nowhere, requires_grad=False), []

    def one(self, group: int, x: Tensor) -> Tensor:
        """The product ``[N, out]`` of ``x [N, in]`` by the weight of one group."""
        return product(
            x,
            None if self.weight is None else self.weight[group],
            scale=None if self.scale is None else self.scale[group],
            packed=self._packed[group] if self._packed else None,
            together=_TOGETHER,
        )

    def forward(self, x: Tensor, ends: Tensor) -> Tensor:
        """The products ``[M, out]`` of ``x [M, in]``, whose group ``n`` is the rows up to ``ends[n]``.

        One kernel: for where `why_one_by_one` has no objection. ``ends`` is int32 ``[E]``, on the device.
        """
        weight = self.wide(x.dtype).transpose(1, 2)
        return torch._grouped_mm(x, weight, offs=ends)

    def wide(self, dtype: torch.dtype) -> Tensor:
        """The weights ``[E, out, in]`` in ``dtype``: made so for this product, where they have eight bits."""
        assert self.weight is not None
        if self.scale is None:
            return self.weight
        flat, scale = self.weight.flatten(0, 1), self.scale.flatten()
        way = kernels.widened if why_no_kernels(flat.device) is None else dequantised
        return way(flat, scale, dtype).unflatten(0, (self.groups, self.out_features))
