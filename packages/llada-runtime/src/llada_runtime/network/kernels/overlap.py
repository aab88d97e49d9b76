"""Programmatic dependent launch: what a kernel may do before the kernel it depends on has finished.

CUDA Programming Guide, "Programmatic Dependent Launch and Synchronization". Every kernel of a chain waits, so
that a finished kernel means that all before it have finished too. Small kernels release the next at once,
products when their weights are read.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

__all__ = ["inputs_ready", "release_next"]


@triton.jit
def release_next(OVERLAP: tl.constexpr):
    """Let the next kernel start as soon as every program of this one runs."""
    if OVERLAP:
        gdc_launch_dependents()


@triton.jit
def inputs_ready(OVERLAP: tl.constexpr):
    """Wait until the kernels before this one have finished and what they wrote can be read."""
    if OVERLAP:
        gdc_wait()
