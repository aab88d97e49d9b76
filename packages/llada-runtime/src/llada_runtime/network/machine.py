"""Whether this machine runs the Triton kernels: asked once a device, as it takes an import of Triton."""

from __future__ import annotations

import importlib.util
from functools import cache

import torch

from llada_core.environment import read_environment
from llada_core.imports import load_target

__all__ = ["why_no_kernels"]


@cache
def why_no_kernels(device: torch.device) -> str | None:
    """Why no Triton kernel runs on ``device``, as it was when asked first; None where they do."""
    if device.type != "cuda" or torch.version.hip is not None:
        return f"the device is {device.type}, and the kernels are for NVIDIA's GPUs"
    if not read_environment().graphs:
        return "LLADA_GRAPHS is off"
    if torch.cuda.get_device_capability(device)[0] != 9:
        return f"the kernels were measured on Hopper only, and this is {torch.cuda.get_device_name(device)}"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; install triton"
    try:
        load_target("llada_runtime.network.kernels:plan_for")
    except ImportError as exc:
        return f"the installed Triton does not do ({exc}); install triton 3.6 or later"
    return None
