"""Attention of rows of any widths and lengths on extents anywhere in a pool, in one call, on NVIDIA GPUs.

torch's public ``varlen_attn`` reads lengths as differences of starts, so that it fits gapless rows in order
only. The operator beneath it takes the lengths apart: keys may lie anywhere, and what is between them is not
read, be it NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llada_runtime.network.calls import Ragged

__all__ = ["attend", "takes"]


def takes(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether `attend` works for keys of ``dtype`` on ``device``: what FlashAttention-2 was built for."""
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    if not torch.backends.cuda.is_flash_attention_available():
        return False
    fits = dtype in (torch.bfloat16, torch.float16) and head_dim % 8 == 0 and head_dim <= 256
    return fits and torch.cuda.get_device_capability(device) >= (8, 0)


def attend(query: Tensor, keys: Tensor, values: Tensor, call: Ragged) -> Tensor:
    """``[N, heads, hd]``: each row's queries ``[N, heads, hd]`` mixed over its keys in the pool.

    ``keys`` and ``values`` are the whole pool, ``[columns, kv_heads, hd]``. Only the numbers of ``call`` are
    baked into a CUDA graph; where rows begin and how long they are is read from its tensors.
    """
    mixed: Tensor = torch.ops.aten._flash_attention_forward(
        query,
        keys,
        values,
        call.query_starts,
        call.key_starts,
        call.widest,
        call.longest,
        0.0,  # dropout
        call.causal,  # aligned to the last query and the last key
        False,  # no debug mask
        seqused_k=call.lengths,
    )[0]
    return mixed
