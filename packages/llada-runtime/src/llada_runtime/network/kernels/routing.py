"""Who works on a column of a mixture of experts: scores, the choice, and the pairs of both by expert.

All of it is float32 (see `llada_runtime.network.routing`, which says what is chosen). A *pair* is a column
and one of its experts: number ``k n + j`` is the j-th best of column n, of k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.shape import Experts

__all__ = ["MOST_PAIRS", "Order", "chosen_experts", "router_product", "sorted_by_expert"]

MOST_PAIRS = 8192
"""That `sorted_by_expert` takes: every program reads them all."""

_EVEN = 4
"""Pairs an expert has on average, beyond which next to none has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The P pairs by expert, and of one expert by column.

    Attributes:
        pairs: int32 ``[P]``, the pair at each place.
        places: int32 ``[P]``, the place of each pair.
        groups: int32 ``[3, E]``: experts, the first place of each and the one behind its last. Where pairs
            are few, experts that nobody chose come last.
    """

    pairs: Tensor
    places: Tensor
    groups: Tensor


def router_product(x: Tensor, weight: Tensor, *, overlap: bool = False) -> Tensor:
    """``x weightᵗ`` of ``x [N, d]`` and ``weight [E, d]``, as exact as of float32, in parts that are to be
    added: float32 ``[S, N, E]``."""
    rows, (experts, inputs) = len(x), weight.shape
    few = rows <= 64
    block, wanted = (16, 16) if few else (64, 8 if rows <= 512 else 4)
    tile = 64 if inputs % 64 == 0 else 16
    assert inputs % tile == 0
    splits = math.gcd(wanted, inputs // tile)
    together = max(16, triton.next_power_of_2(rows)) if few else 64
    out = weight.new_empty(splits, rows, experts)
    launch(
        _router_product,
        (triton.cdiv(experts, block), splits, triton.cdiv(rows, together)),
        x,
        weight,
        out,
        rows,
        experts,
        inputs,
        together,
        block,
        tile,
        splits,
        overlap,
        num_warps=4,
        launch_pdl=overlap,
    )
    return out


def chosen_experts(
    products: Tensor, experts: Experts, *, bias: Tensor | None = None, overlap: bool = False
) -> tuple[Tensor, Tensor]:
    """How much a column's experts count, float32 ``[N, k]``, and which they are, int32 ``[N, k]``.

    The best come first.

    Args:
        products: the router's, float32 ``[S, N, E]``, parts that are added.
        bias: float32 ``[E]``, where experts have one.
    """
    parts, rows, _ = products.shape
    weights = products.new_empty(rows, experts.chosen)
    chosen = products.new_empty(rows, experts.chosen, dtype=torch.int32)
    launch(
        _chosen_experts,
        (rows, 1, 1),
        products,
        bias,
        weights,
        chosen,
        products.stride(0),
        products.stride(1),
        experts.scale,
        experts.groups,
        experts.of_a_group,
        triton.next_power_of_2(experts.groups),
        triton.next_power_of_2(experts.of_a_group),
        experts.groups_chosen,
        experts.chosen,
        triton.next_power_of_2(experts.chosen),
        parts,
        experts.scores == "sigmoid",
        experts.renormalised,
        experts.bias_counts,
        overlap,
        num_warps=1,
        launch_pdl=overlap,
    )
    return weights, chosen


def sorted_by_expert(chosen: Tensor, experts: int, *, overlap: bool = False) -> Order:
    """The order of ``chosen``, int32 ``[N, k]``, of at most `MOST_PAIRS` numbers below ``experts``."""
    count = chosen.numel()
    assert count <= MOST_PAIRS
    pairs, places = chosen.new_empty(count), chosen.new_empty(count)
    groups = chosen.new_empty(3, experts)
    block = max(32, triton.next_power_of_2(count))
    launch(
        _sorted_by_expert,
        (experts, 1, 1),
        chosen,
        pairs,
        places,
        groups,
        count,
        experts,
        block,
        triton.next_power_of_2(experts + 1) if count <= _EVEN * experts else 0,
        overlap,
        num_warps=max(1, min(16, block // 256)),
        launch_pdl=overlap,
    )
    return Order(pairs=pairs, places=places, groups=groups)


@triton.jit(do_not_specialize=["rows"])
def _router_product(
    x,
    weight,
    out,
    rows,
    experts,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    EXPERTS: tl.constexpr,
    TILE: tl.constexpr,
    SPLITS: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    SHARE: tl.constexpr = INPUTS // SPLITS
    expert = tl.program_id(0) * EXPERTS + tl.arange(0, EXPERTS)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * SHARE + tl.arange(0, TILE)
    exists, real = expert < experts, row < rows
    w_at = weight + expert[:, None] * INPUTS + column[None, :]
    x_at = x + row.to(tl.int64)[None, :] * INPUTS + column[:, None]
    total = tl.zeros([EXPERTS, ROWS], tl.float32)
    inputs_ready(OVERLAP)
    for _ in range(0, SHARE, TILE):
        w = tl.load(w_at, mask=exists[:, None], other=0.0)
        values = tl.load(x_at, mask=real[None, :], other=0.0).to(tl.float32)
        total = tl.dot(w, values, total, input_precision="tf32x3")  # values of bfloat16 are exact in tf32
        w_at += TILE
        x_at += TILE
    release_next(OVERLAP)
    at = (tl.program_id(1) * rows + row[None, :]) * experts + expert[:, None]
    tl.store(out + at, total, mask=exists[:, None] & real[None, :])


@triton.jit(do_not_specialize=["part_distance"])
def _chosen_experts(
    products,
    bias,
    weights,
    chosen,
    part_distance,
    row_distance,
    scale,
    GROUPS: tl.constexpr,
    SIZE: tl.constexpr,
    GROUP_BLOCK: tl.constexpr,
    SIZE_BLOCK: tl.constexpr,
    GROUPS_CHOSEN: tl.constexpr,
    CHOSEN: tl.constexpr,
    CHOSEN_BLOCK: tl.constexpr,
    PARTS: tl.constexpr,
    SIGMOID: tl.constexpr,
    RENORMALISED: tl.constexpr,
    BIAS_COUNTS: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    release_next(OVERLAP)
    row = tl.program_id(0).to(tl.int64)
    group, member = tl.arange(0, GROUP_BLOCK)[:, None], tl.arange(0, SIZE_BLOCK)[None, :]
    real = (group < GROUPS) & (member < SIZE)
    expert = tl.where(real, group * SIZE + member, GROUPS * SIZE)  # [groups, of a group]
    inputs_ready(OVERLAP)
    made = _added(products + row * row_distance + expert, real, part_distance, PARTS)
    scores = _scored(made, real, SIGMOID)
    ranked = scores
    if bias is not None:
        ranked += tl.load(bias + expert, mask=real, other=0.0)
    if BIAS_COUNTS:
        scores = ranked
    ranked = _ordered(ranked, real)
    if GROUPS_CHOSEN < GROUPS:
        kept = _best_groups(ranked, GROUPS, SIZE, GROUP_BLOCK, GROUPS_CHOSEN)
        ranked = tl.where(kept[:, None], ranked, float("-inf"))

    COUNT: tl.constexpr = GROUP_BLOCK * SIZE_BLOCK
    NOBODY: tl.constexpr = GROUPS * SIZE
    slot = tl.arange(0, CHOSEN_BLOCK)
    ranked, scores, expert = _flat(ranked, COUNT), _flat(scores, COUNT), _flat(expert, COUNT)
    counts, winners, total = _best(ranked, scores, expert, NOBODY, CHOSEN, CHOSEN_BLOCK)
    if RENORMALISED:
        counts = counts / (total + 1e-20)  # as in `routing`
    at = row * CHOSEN + slot
    tl.store(weights + at, counts * scale, mask=slot < CHOSEN)
    tl.store(chosen + at, winners, mask=slot < CHOSEN)


@triton.jit
def _added(at, real, distance, PARTS: tl.constexpr):
    """The sum of the parts, each so far behind the one before."""
    total = tl.load(at, mask=real, other=0.0)
    for part in tl.static_range(1, PARTS):
        total += tl.load(at + part * distance, mask=real, other=0.0)
    return total


@triton.jit
def _ordered(ranked, real):
    """Ranks of which the highest can be found: what is no number comes first, as in torch's order; minus
    infinity is what is not to be chosen any more."""
    ranked = tl.where(ranked != ranked, float("inf"), tl.where(ranked < -3e38, -3e38, ranked))
    return tl.where(real, ranked, float("-inf"))


@triton.jit
def _scored(made, real, SIGMOID: tl.constexpr):
    """The scores of the router's products: of each by itself, or shares of one."""
    if SIGMOID:
        scores = 1.0 / (1.0 + tl.exp(-made))
    else:
        peak = tl.max(tl.max(tl.where(real, made, float("-inf")), 1), 0)
        mass = tl.where(real, tl.exp(made - peak), 0.0)
        scores = mass / tl.sum(tl.sum(mass, 1), 0)
    return scores


@triton.jit
def _best(ranked, scores, expert, NOBODY: tl.constexpr, CHOSEN: tl.constexpr, BLOCK: tl.constexpr):
    """Of the ``CHOSEN`` highest ranks, the highest first, scores and experts, each ``[BLOCK]``, and the
    scores' sum. Of equal ranks the lower expert's comes first."""
    slot, total = tl.arange(0, BLOCK), 0.0
    counts, winners = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.int32)
    for n in tl.static_range(CHOSEN):
        best = tl.max(ranked, 0)
        winner = tl.min(tl.where(ranked == best, expert, NOBODY), 0)
        count = tl.sum(tl.where(expert == winner, scores, 0.0), 0)
        ranked = tl.where(expert == winner, float("-inf"), ranked)
        total += count
        counts, winners = tl.where(slot == n, count, counts), tl.where(slot == n, winner, winners)
    return counts, winners, total


@triton.jit
def _flat(x, COUNT: tl.constexpr):
    return tl.reshape(x, [COUNT])


@triton.jit
def _best_groups(ranked, GROUPS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr, CHOSEN: tl.constexpr):
    """Whether each group is one of those whose two best have the highest sum, ``[BLOCK]``."""
    member, group = tl.arange(0, ranked.shape[1])[None, :], tl.arange(0, BLOCK)
    two = tl.max(ranked, 1)
    if SIZE > 1:
        first = tl.min(tl.where(ranked == two[:, None], member, ranked.shape[1]), 1)
        two += tl.max(tl.where(member == first[:, None], float("-inf"), ranked), 1)
    two = tl.where(two != two, float("inf"), two)
    two = tl.where(group < GROUPS, tl.maximum(two, -3.4e38), float("-inf"))
    kept = group < 0
    for _ in tl.static_range(CHOSEN):
        winner = tl.min(tl.where(two == tl.max(two, 0), group, BLOCK), 0)
        kept = kept | (group == winner)
        two = tl.where(group == winner, float("-inf"), two)
    return kept


@triton.jit(do_not_specialize=["count"])
def _sorted_by_expert(
    chosen,
    pairs,
    places,
    groups,
    count,
    EXPERTS: tl.constexpr,
    BLOCK: tl.constexpr,
    BINS: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    """One expert's pairs: where they begin is how many chose a lower expert."""
    release_next(OVERLAP)
    expert, pair = tl.program_id(0), tl.arange(0, BLOCK)
    inputs_ready(OVERLAP)
    theirs = tl.load(chosen + pair, mask=pair < count, other=EXPERTS)
    mine = (theirs == expert).to(tl.int32)
    begin, own = tl.sum((theirs < expert).to(tl.int32), 0), tl.sum(mine, 0)
    slot = expert
    if BINS > 0:
        number = tl.arange(0, BINS)
        asked = (tl.histogram(theirs, BINS) > 0) & (number < EXPERTS)
        before = tl.sum((asked & (number < expert)).to(tl.int32), 0)
        slot = tl.where(own > 0, before, tl.sum(asked.to(tl.int32), 0) + expert - before)
    tl.store(groups + slot, expert)
    tl.store(groups + EXPERTS + slot, begin)
    tl.store(groups + 2 * EXPERTS + slot, begin + own)
    place = begin + tl.cumsum(mine, 0) - 1
    tl.store(pairs + place, pair, mask=mine > 0)
    tl.store(places + pair, place, mask=mine > 0)
