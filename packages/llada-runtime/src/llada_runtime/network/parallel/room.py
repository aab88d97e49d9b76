"""Whether a forward fits into a rank's memory, found out before any rank begins it.

A rank that runs out of memory in the midst of one leaves the others waiting, so that the model would be lost.
"""

from __future__ import annotations

from typing import Any

import torch

from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["has_room"]


def has_room(network: Any, columns: int, head_columns: int) -> bool:
    """Whether the memory of a rank's ``network`` holds what a forward computes in passing: by taking it.

    What is taken at a time: of each column some of the stream, queries, keys and values in float32 thrice,
    and what stands inside the MLP; of each head column its logits, twice.
    """
    part, size = network.part, network.dtype.itemsize
    qkv = part.query_width + 2 * part.kv_width
    column = size * 4 * (part.width + part.mlp_width) + 4 * 3 * qkv
    needed = columns * column + head_columns * 2 * part.vocabulary * size
    try:
        torch.empty(needed, dtype=torch.uint8, device=network.device)
    except Exception as exc:
        if not is_out_of_memory(exc):
            raise
        return False
    return True
