"""The experts of a fused forward: kernels that route, sort and multiply, or torch's grouped products.

Where pairs of a column and an expert are few, reading the weights is what takes the time, and kernels read
them as the other products' do; where they are many, and for sizes that cannot be cut, torch's kernel computes
faster. This module needs no Triton to be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from llada_core.imports import LazyModule
from llada_runtime.network import products
from llada_runtime.network.experts import ExpertMLP, in_order
from llada_runtime.network.norm import RMSNorm

if TYPE_CHECKING:
    from llada_runtime.network import kernels
    from llada_runtime.network.kernels import Plan
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
    cut = kernels.expert_plan_for(pairs, experts.count)
    few = pairs <= kernels.MOST_PAIRS and cut.fits(x.shape[1], experts.width)
    made, places, weights = _by_kernels(mlp, x, plan) if few else _grouped(mlp, x)
    beside = None
    if mlp.shared is not None:
        hidden = products.gated(mlp.shared, x, plan)
        beside = products.summands(hidden, mlp.shared.down, plan.down, plan)
    return kernels.mixed_experts(made, places, weights, beside, overlap=plan.overlap)[None]


def _by_kernels(mlp: ExpertMLP, x: Tensor, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """What the experts of each pair compute, ``[P, d]``; where each pair is there, and its weight."""
    router, experts, overlap = mlp.router, mlp.experts, plan.overlap
    cut = kernels.expert_plan_for(len(x) * experts.chosen, experts.count)
    scores = kernels.router_product(x, router.product.plain, overlap=overlap)
    weights, chosen = kernels.chosen_experts(scores, experts, bias=router.bias, overlap=overlap)
    order = kernels.sorted_by_expert(chosen, experts.count, overlap=overlap)
    gate_up, down = mlp.gate_up, mlp.down
    hidden = kernels.gated_expert_products(
        x, order, gate_up.stored, scale=gate_up.scale, chosen=experts.chosen, tiling=cut.gate_up,
        rows=cut.rows, overlap=overlap,
    )  # fmt: skip
    made = kernels.expert_products(
        hidden, order, down.stored, scale=down.scale, tiling=cut.down, rows=cut.rows, overlap=overlap
    )
    return made, order.places, weights


def _grouped(mlp: ExpertMLP, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of many columns."""
    weights, chosen = mlp.router(x)
    rows, places, ends = in_order(x, chosen, mlp.experts.count)
    return mlp.down(kernels.swiglu(mlp.gate_up(rows, ends)), ends), places, weights
