"""How the steps of a transformer are run, in words."""

from __future__ import annotations

__all__ = ["launched", "sentence"]


def sentence(plain_because: str | None, *, graphed: bool) -> str:
    """One sentence on a transformer for which there are no fused kernels because of this, or are."""
    if plain_because is None:
        return f"steps run on fused Triton kernels, {launched(graphed)}"
    return f"steps run on torch's own kernels, {launched(graphed)} ({plain_because})"


def launched(graphed: bool) -> str:
    """How kernels are launched, as the end of a clause."""
    return "in CUDA graphs" if graphed else "launched one by one"
