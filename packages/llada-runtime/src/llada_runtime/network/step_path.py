"""How the block steps of a loaded network are run, in words."""

from __future__ import annotations

from llada_runtime.network.graphs import Graphed
from llada_runtime.network.protocol import Network
from llada_runtime.network.transformer import Transformer

__all__ = ["step_path"]


def step_path(network: Network) -> str:
    """One sentence on the kernels of a step and on how they are launched."""
    inner = network.network if isinstance(network, Graphed) else network
    launched = "in CUDA graphs" if isinstance(network, Graphed) else "launched one by one"
    if not isinstance(inner, Transformer):
        return f"steps run on the kernels of {type(inner).__name__}, {launched}"
    if inner.plain_because is None:
        return f"steps run on fused Triton kernels, {launched}"
    return f"steps run on torch's own kernels, {launched} ({inner.plain_because})"
