"""RMS norm of the residual stream, fused with adding what the product before it computed.

Rounding is that of the plain network: the sum of parts rounded to the model's dtype and then added, the mean
square in float32, the normalised value rounded before the weight.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next

__all__ = ["add_and_normalise"]


def add_and_normalise(
    stream: Tensor, parts: Tensor | None, weight: Tensor, *, eps: float, overlap: bool = False
) -> Tensor:
    """``norm(stream)``, ``[N, d]``, after ``stream += sum of parts``, in place.

    Args:
        stream: the residual stream ``[N, d]``.
        parts: ``[S, N, d]``, S partial results of a product split along its inputs (float32), or one whole
            result (S = 1, the model's dtype); None adds nothing.
        weight: ``[d]``.
    """
    rows, width = stream.shape
    out = stream.new_empty(rows, width)
    block = triton.next_power_of_2(width)
    launch(
        _add_and_normalise,
        (rows, 1, 1),
        stream,
        parts,
        weight,
        out,
        rows,
        width,
        eps,
        0 if parts is None else parts.shape[0],
        block,
        overlap,
        num_warps=8 if block >= 2048 else 4,
        launch_pdl=overlap,
    )
    return out


@triton.jit(do_not_specialize=["rows"])
def _add_and_normalise(
    stream,
    parts,
    weight,
    out,
    rows,
    width,
    eps,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    release_next(OVERLAP)
    column = tl.arange(0, BLOCK)
    inside = column < width
    scale = tl.load(weight + column, mask=inside, other=0.0)  # [d], not an output of another kernel
    inputs_ready(OVERLAP)
    place = tl.program_id(0).to(tl.int64) * width + column
    x = tl.load(stream + place, mask=inside, other=0.0)  # [d]
    dtype = x.dtype
    if PARTS > 0:
        total = tl.load(parts + place, mask=inside, other=0.0).to(tl.float32)
        for part in tl.static_range(1, PARTS):
            at = part * rows.to(tl.int64) * width + place
            total += tl.load(parts + at, mask=inside, other=0.0).to(tl.float32)
        x = (x.to(tl.float32) + total.to(dtype).to(tl.float32)).to(dtype)
        tl.store(stream + place, x, mask=inside)
    wide = x.to(tl.float32)
    rms = tl.rsqrt(tl.sum(wide * wide) / width + eps)
    normed = (wide * rms).to(dtype).to(tl.float32)
    tl.store(out + place, (normed * scale.to(tl.float32)).to(dtype), mask=inside)
