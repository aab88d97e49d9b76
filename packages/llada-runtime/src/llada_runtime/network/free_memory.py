"""How much memory a device has free now."""

from __future__ import annotations

import torch

from llada_core.machine import free_main_memory

__all__ = ["free_bytes"]


def free_bytes(device: torch.device) -> int:
    """Bytes that could be allocated on ``device`` now.

    On a GPU, what the driver has free and what torch holds and does not use; on the CPU, main memory.
    """
    if device.type != "cuda":
        return free_main_memory()
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
