"""What a network runs on, as torch knows it. Imported only through a target: it needs torch."""

from __future__ import annotations

import os
from typing import Any

import torch

__all__ = ["cuda_device_of", "forget_peak", "peak_of", "place_of", "wait_for"]


def place_of(network: Any) -> dict[str, Any]:
    """Kind and name of the device that the network is on (no name of a CPU), its dtype, and torch's threads.

    The dtype is None where the network does not tell it.
    """
    device = _device_of(network)
    dtype = getattr(network, "dtype", None)
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "dtype": str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def cuda_device_of(network: Any) -> torch.device | None:
    """The CUDA device of the network; None where it is elsewhere."""
    device = _device_of(network)
    return device if device.type == "cuda" else None


def forget_peak(device: torch.device) -> None:
    """Count the memory that tensors take on the device from here on."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)


def wait_for(device: torch.device) -> None:
    """Return when the device has nothing left to do."""
    torch.cuda.synchronize(device)


def peak_of(device: torch.device) -> int:
    """Bytes that tensors took on the device at their most."""
    return int(torch.cuda.max_memory_allocated(device))


def _device_of(network: Any) -> torch.device:
    """Where the network says that it is, or its first weight; a network without weights is on the CPU."""
    device = getattr(network, "device", None)
    if device is None and isinstance(network, torch.nn.Module):
        device = next((weight.device for weight in network.parameters()), None)
    return torch.device("cpu" if device is None else device)
