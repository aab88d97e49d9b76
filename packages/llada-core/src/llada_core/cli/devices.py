"""The CUDA devices of this machine. Imported only through a target: it needs torch."""

from __future__ import annotations

import torch

__all__ = ["cuda_devices"]


def cuda_devices() -> list[dict[str, object]]:
    """Name, and total and free memory in bytes, of each CUDA device; empty where there is none."""
    if not torch.cuda.is_available():
        return []
    found: list[dict[str, object]] = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append({"name": torch.cuda.get_device_name(index), "total": total, "free": free})
    return found
