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
from llada_runtime.network.kernels.split import Split, store_split

__all__ = ["add_and_normalise", "add_normalise_and_split"]


def add_and_normalise(
    stream: Tensor, parts: Tensor | None, weight: Tensor, *, eps: float, overlap: bool = False
) -> Tensor:
    """``norm(stream)``, ``[N, d]``, after ``stream += sum of parts``, in place.

    Args:
        stream: the residual stream ``[N, d]``.
        parts: ``[S, N, d]``, S partial results of a product, in any dtype and at any distances; None adds
            nothing.
        weight: ``[d]``.
    """
    out = stream.new_empty(stream.shape)
    _launch(stream, parts, weight, out, None, eps=eps, overlap=overlap)
    return out


def add_normalise_and_split(
    stream: Tensor, parts: Tensor | None, weight: Tensor, *, eps: float, overlap: bool = False
) -> Split:
    """What `add_and_normalise` returns, in two fp8 halves."""
    out = Split.like(stream)
    _launch(stream, parts, weight, out.halves, out.scale, eps=eps, overlap=overlap)
    return out


def _launch(
    stream: Tensor,
    parts: Tensor | None,
    weight: Tensor,
    out: Tensor,
    scales: Tensor | None,
    *,
    eps: float,
    overlap: bool,
) -> None:
    rows, width = stream.shape
    block = triton.next_power_of_2(width)
    launch(
        _add_and_normalise,
        (rows, 1, 1),
        stream,
        parts,
        weight,
        out,
        scales,
        0 if parts is None else parts.stride(0),
        0 if parts is None else parts.stride(1),
        width,
        eps,
        0 if parts is None else parts.shape[0],
        block,
        overlap,
        num_warps=8 if block >= 2048 else 4,
        launch_pdl=overlap,
    )


@triton.jit(do_not_specialize=["part_distance", "row_distance"])
def _add_and_normalise(
    stream,
    parts,
    weight,
    out,
    scales,
    part_distance,
    row_distance,
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
    row = tl.program_id(0).to(tl.int64)
    place = row * width + column
    x = tl.load(stream + place, mask=inside, other=0.0)  # [d]
    dtype = x.dtype
    if PARTS > 0:
        at = parts + row * row_distance + column
        total = tl.load(at, mask=inside, other=0.0).to(tl.float32)
        for part in tl.static_range(1, PARTS):
            total += tl.load(at + part * part_distance, mask=inside, other=0.0).to(tl.float32)
        x = (x.to(tl.float32) + total.to(dtype).to(tl.float32)).to(dtype)
        tl.store(stream + place, x, mask=inside)
    wide = x.to(tl.float32)
    rms = tl.rsqrt(tl.sum(wide * wide) / width + eps)
    normed = (wide * rms).to(dtype).to(tl.float32)
    normed = (normed * scale.to(tl.float32)).to(dtype)
    if scales is None:
        tl.store(out + place, normed, mask=inside)
    else:
        store_split(normed.to(tl.float32), out + row * 2 * width, scales + 2 * row, column, width)
