"""A linear layer whose rows do not depend on how many are computed together.

On the CPU the weight is kept in oneDNN's blocked layout. There each output row is accumulated in one fixed
order whatever the number of rows, so a request's logits are bit for bit the same alone and in a batch, and
the product runs up to twice as fast as the default BLAS call. Of a single row of float32, and of bfloat16,
oneDNN sums in an order that depends on how many rows there are: they are multiplied so many at a time (see
`_alike`). Elsewhere it is the plain product. A weight of eight bits (see `eight_bits`) is made one of x's
dtype for each product, which then is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_runtime.network.eight_bits import dequantised, kind_of, quantised
from llada_runtime.network.kept_products import bound_kept_products
from llada_runtime.network.unfilled import unfilled

__all__ = ["Linear", "packed_weight", "product", "write_rows"]

_TOGETHER = 64  # rows of bfloat16: fewer waste the CPU's matrix unit, more a step of 32 columns


class Linear(nn.Module):
    """``y = x Wᵀ (+ bias)`` for inference; ``x`` is ``[N, in]``, ``y`` is ``[N, out]``.

    Attributes:
        weight: ``[out, in]``; None once it is packed.
        scale: float32 ``[out]``, by which a weight of eight bits is to be multiplied; None for others.
    """

    weight: nn.Parameter | None
    scale: nn.Parameter | None
    bias: nn.Parameter | None
    packed: Tensor | None

    def __init__(
        self,
        out_features: int,
        in_features: int,
        *,
        bias: bool = False,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = out_features, in_features
        self.weight = unfilled(out_features, in_features, device=device, dtype=dtype)
        self.scale = self.bias = None
        if bias:
            shift = torch.empty(out_features, device=device, dtype=dtype)
            self.bias = nn.Parameter(shift, requires_grad=False)
        self.packed = None

    @property
    def plain(self) -> Tensor:
        """The weight ``[out, in]`` as published; it exists until the layer is packed or quantised."""
        assert self.scale is None, "the plain weight is gone once the layer is quantised"
        return self.stored

    @property
    def stored(self) -> Tensor:
        """The weight ``[out, in]`` as it is kept, of eight bits too; it exists until the layer is packed."""
        assert self.weight is not None, "the plain weight is gone once the layer is packed"
        return self.weight

    def quantise(self, kind: str) -> None:
        """Put the weight in eight bits, "fp8" or "int8", freeing the plain one. Comes before packing."""
        weight, scale = quantised(self.plain.detach(), kind)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def pack(self) -> None:
        """Move the weight into the CPU's blocked layout, freeing the plain one. A no-op on other devices, and
        for weights of eight bits."""
        if self.weight is None:
            return
        if self.weight.device.type == "cpu":
            bound_kept_products()  # weights of eight bits run packed products too
        if self.scale is None:
            self.packed = packed_weight(self.weight.detach())
        if self.packed is not None:
            self.weight = None

    def unpack(self) -> None:
        """Have the plain weight again where it was packed, freeing the packed one; `pack` undoes it."""
        if self.packed is not None:
            self.weight = nn.Parameter(self.packed.to_dense(), requires_grad=False)
            self.packed = None

    def write(self, first: int, weight: Tensor) -> None:
        """Put ``weight [rows, in]``, of the dtype that it had when it was read, in the place of the outputs
        from ``first`` on: in eight bits where those are. The layer is unpacked then."""
        self.unpack()
        write_rows(self.stored, self.scale, first, weight)

    def forget(self) -> None:
        """Have no numbers where the weight was packed: it is plain, and on the device "meta"."""
        if self.packed is not None:
            nowhere = torch.empty(self.out_features, self.in_features, device="meta", dtype=self.packed.dtype)
            self.weight, self.packed = nn.Parameter(nowhere, requires_grad=False), None

    def forward(self, x: Tensor) -> Tensor:
        """The product alone: what a split or quantised layer has another of."""
        return product(x, self.weight, scale=self.scale, packed=self.packed, bias=self.bias)

    def onto(self, x: Tensor, residual: Tensor) -> Tensor:
        """``residual + product``, ``[N, out]``; where the weight is packed, in one pass over the output."""
        if self.packed is None:
            return self(x).add_(residual)
        added = torch.ops.mkldnn._linear_pointwise.binary
        return _alike(lambda rows, onto: added(rows, onto, self.packed, self.bias, "add"), x, residual)

    def joined(self, parts: Tensor) -> Tensor:
        """A product in parts that are to be added, ``[S, N, out]``, that something else computed of the plain
        weight: as whole as this layer's own is."""
        return parts


def product(
    x: Tensor,
    weight: Tensor | None,
    *,
    scale: Tensor | None = None,
    packed: Tensor | None = None,
    bias: Tensor | None = None,
    together: int = _TOGETHER,
) -> Tensor:
    """``x Wᵀ (+ bias)``, ``[N, out]``, by the weight ``[out, in]``, or by what it has been packed to.

    Args:
        scale: of a weight of eight bits.
        together: rows of bfloat16 that are multiplied at a time on the CPU.
    """
    if scale is not None:
        assert weight is not None
        weight = dequantised(weight, scale, x.dtype)
        packed = packed_weight(weight)
    if packed is None:
        assert weight is not None
        return F.linear(x, weight, bias)
    return _alike(
        lambda rows: torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], ""),
        x,
        together=together,
    )


def write_rows(stored: Tensor, scale: Tensor | None, first: int, weight: Tensor) -> None:
    """Put ``weight [rows, in]`` into the rows of ``stored [out, in]`` from ``first`` on, in place.

    With a ``scale [out]`` these have eight bits, and theirs is written too.
    """
    rows = slice(first, first + len(weight))
    if scale is None:
        stored[rows] = weight
    else:
        stored[rows], scale[rows] = quantised(weight, kind_of(stored))


def packed_weight(weight: Tensor) -> Tensor | None:
    """``weight`` in the CPU's blocked layout; None where there is none for it."""
    return _packed(weight) if _can_pack(weight) else None


def _alike(product: Callable[..., Tensor], *operands: Tensor, together: int = _TOGETHER) -> Tensor:
    """``product`` of operands of N rows each, every row of which has the same bits whatever N is."""
    count = len(operands[0])
    together = together if operands[0].dtype == torch.bfloat16 else max(count, 2)
    missing = -count % together
    if missing:
        operands = tuple(F.pad(each, (0, 0, 0, missing)) for each in operands)
    if count + missing == together:
        return product(*operands)[:count]
    parts = zip(*(each.split(together) for each in operands), strict=True)
    return torch.cat([product(*part) for part in parts])[:count]


def _packed(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def _can_pack(weight: Tensor) -> bool:
    if weight.device.type != "cpu":
        return False
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return False  # as on ARM: the plain product, whose last bits may depend on the number of rows
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
