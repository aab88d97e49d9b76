"""What it means that memory ran out, on any device."""

from __future__ import annotations

import ctypes
import sys

import torch

__all__ = ["give_back", "is_out_of_memory"]

_OF_THE_CPU = ("not enough memory", "can't allocate memory")  # torch's allocator says it in a RuntimeError


def is_out_of_memory(error: Exception) -> bool:
    """Whether ``error`` says that a device has no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OF_THE_CPU)


def give_back(device: torch.device) -> None:
    """Give memory that no tensor uses back to the driver, so that a smaller attempt finds it in one piece.

    The CPU's goes back to the system, where the C library can be asked to: of itself glibc keeps what was in
    pieces of less than 32 MiB.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
