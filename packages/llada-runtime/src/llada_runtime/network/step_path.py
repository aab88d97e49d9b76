"""How the block steps of a network are run, in words."""

from __future__ import annotations

from llada_runtime.network.graphs import Graphed
from llada_runtime.network.parallel.leader import Parallel
from llada_runtime.network.protocol import Network
from llada_runtime.network.transformer import Transformer

__all__ = ["sentence", "step_path"]


def step_path(network: Network) -> str:
    """One sentence on the kernels of a step and on how they are launched."""
    if isinstance(network, Parallel):
        return f"{step_path(network.network)}, on each of {network.tensor_parallel} ranks"
    inner, graphed = (network.network, True) if isinstance(network, Graphed) else (network, False)
    if not isinstance(inner, Transformer):
        return f"steps run on the kernels of {type(inner).__name__}, {_launched(graphed)}"
    return sentence(inner.plain_because, graphed=graphed)


def sentence(plain_because: str | None, *, graphed: bool) -> str:
    """The same of a transformer, for which there are no fused kernels because of this, or are."""
    if plain_because is None:
        return f"steps run on fused Triton kernels, {_launched(graphed)}"
    return f"steps run on torch's own kernels, {_launched(graphed)} ({plain_because})"


def _launched(graphed: bool) -> str:
    return "in CUDA graphs" if graphed else "launched one by one"
