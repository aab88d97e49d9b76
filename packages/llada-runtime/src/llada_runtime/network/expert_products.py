"""The experts of a fused forward: kernels that route, sort and multiply, or torch's grouped products.

Where pairs of a column and an expert are few, reading the weights is what takes the time, and kernels read
them as the other products' do; where they are many, and for sizes that cannot be cut, torch's kernel computes
faster. This module needs no Triton to be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from llada_core.imports import LazyModule
from llada_runtime.network import products
from llada_runtime.network.experts import ExpertMLP, in_order
from llada_runtime.network.grouped import GroupedLinear
from llada_runtime.network.norm import RMSNorm

if TYPE_CHECKING:
    from llada_runtime.network import kernels
    from llada_runtime.network.kernels import ExpertPlan, Plan, Split
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["mixture"]


def mixture(mlp: ExpertMLP, norm: RMSNorm, stream: Tensor, added: Tensor, plan: Plan) -> Tensor:
    """What ``mlp`` makes of the normalised stream, ``[1, N, d]``; ``added`` is in the stream from then on."""
    x = kernels.add_and_normalise(stream, added, norm.weight, eps=norm.eps, overlap=plan.overlap)
    if not len(x):  # nothing is asked of the last layer where a forward fills the cache alone
        return x[None]
    experts = mlp.experts
    pairs = len(x) * experts.chosen
    cut = kernels.expert_plan_for(pairs, experts.count, halves=_halved(mlp.gate_up))
    few = pairs <= kernels.MOST_PAIRS and cut.fits(x.shape[1], experts.width)
    made, places, weights = _by_kernels(mlp, x, cut, plan.overlap) if few else _grouped(mlp, x)
    beside = None
    if mlp.shared is not None:
        hidden = products.gated(mlp.shared, x, plan)
        beside = products.summands(hidden, mlp.shared.down, plan.down, plan)
    return kernels.mixed_experts(made, places, weights, beside, overlap=plan.overlap)[None]


def _by_kernels(mlp: ExpertMLP, x: Tensor, plan: ExpertPlan, overlap: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What the experts of each pair compute, ``[P, d]``; where each pair is there, and its weight."""
    router, experts = mlp.router, mlp.experts
    scores = kernels.router_product(x, router.product.plain, overlap=overlap)
    weights, chosen = kernels.chosen_experts(scores, experts, bias=router.bias, overlap=overlap)
    order = kernels.sorted_by_expert(chosen, experts.count, overlap=overlap)
    inside = kernels.gated_expert_products(
        _operand(x, mlp.gate_up, overlap), order, mlp.gate_up.stored, scale=mlp.gate_up.scale,
        chosen=experts.chosen, plan=plan, overlap=overlap,
    )  # fmt: skip
    made = kernels.expert_products(
        _operand(inside, mlp.down, overlap), order, mlp.down.stored, scale=mlp.down.scale, plan=plan,
        overlap=overlap,
    )  # fmt: skip
    return made, order.places, weights


def _halved(linear: GroupedLinear) -> bool:
    """Whether the weights are multiplied as they are, by activations in two halves."""
    return linear.stored.dtype == torch.float8_e4m3fn


def _operand(x: Tensor, linear: GroupedLinear, overlap: bool) -> Tensor | Split:
    return kernels.split(x, overlap=overlap) if _halved(linear) else x


def _grouped(mlp: ExpertMLP, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of many columns."""
    weights, chosen = mlp.router(x)
    rows, places, ends = in_order(x, chosen, mlp.experts.count)
    return mlp.down(kernels.swiglu(mlp.gate_up(rows, ends)), ends), places, weights
