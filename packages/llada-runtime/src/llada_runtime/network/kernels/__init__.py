"""Triton kernels of a forward on an NVIDIA GPU, in bfloat16; weights may have eight bits.

Every function launches kernels and reads no value on the host, so a CUDA graph can hold it. With ``overlap``
a kernel starts while the one before it still runs (programmatic dependent launch, compute capability 9.0),
and waits for its inputs when it is set up.

This package needs Triton, and does not know layouts, caches, algorithms or names of checkpoints.
"""

from __future__ import annotations

from llada_runtime.network.kernels.attention import attend
from llada_runtime.network.kernels.experts import expert_products, gated_expert_products
from llada_runtime.network.kernels.gate import swiglu, swiglu_and_split
from llada_runtime.network.kernels.likeliest import likeliest
from llada_runtime.network.kernels.mixture import mixed_experts
from llada_runtime.network.kernels.noisiest import noisiest
from llada_runtime.network.kernels.norm import add_and_normalise, add_normalise_and_split
from llada_runtime.network.kernels.paired import gated_product, rotated_product
from llada_runtime.network.kernels.plans import ExpertPlan, Plan, Tiling, expert_plan_for, plan_for
from llada_runtime.network.kernels.product import product
from llada_runtime.network.kernels.rotary import rotate_and_keep
from llada_runtime.network.kernels.routing import (
    MOST_PAIRS,
    Order,
    chosen_experts,
    router_product,
    sorted_by_expert,
)
from llada_runtime.network.kernels.split import Split, split
from llada_runtime.network.kernels.widened import widened

__all__ = [
    "MOST_PAIRS",
    "ExpertPlan",
    "Order",
    "Plan",
    "Split",
    "Tiling",
    "add_and_normalise",
    "add_normalise_and_split",
    "attend",
    "chosen_experts",
    "expert_plan_for",
    "expert_products",
    "gated_expert_products",
    "gated_product",
    "likeliest",
    "mixed_experts",
    "noisiest",
    "plan_for",
    "product",
    "rotate_and_keep",
    "rotated_product",
    "router_product",
    "sorted_by_expert",
    "split",
    "swiglu",
    "swiglu_and_split",
    "widened",
]
