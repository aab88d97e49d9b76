"""How the block steps of a network are run, in words."""

from __future__ import annotations

from llada_runtime.network.graphs import Graphed
from llada_runtime.network.launch import launched, sentence
from llada_runtime.network.parallel.leader import Parallel
from llada_runtime.network.protocol import Network
from llada_runtime.network.transformer import Transformer

__all__ = ["step_path"]


def step_path(network: Network) -> str:
    """One sentence on the kernels of a step and on how they are launched."""
    if isinstance(network, Parallel):
        return f"{step_path(network.network)}, on each of {network.tensor_parallel} ranks"
    inner, graphed = (network.network, True) if isinstance(network, Graphed) else (network, False)
    if not isinstance(inner, Transformer):
        return f"steps run on the kernels of {type(inner).__name__}, {launched(graphed)}"
    return sentence(inner.plain_because, graphed=graphed)
