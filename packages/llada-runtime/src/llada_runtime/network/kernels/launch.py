"""Launching a kernel once more without asking Triton again which program its arguments take.

Triton looks for the program at every launch by the kind of every argument, which takes several times as long
as the launch. A forward launches hundreds of kernels, mostly of kinds that have been launched before.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = ["launch"]

_MOST = 4096
_programs: dict[tuple[Any, ...], Any] = {}


def launch(kernel: Any, grid: tuple[int, int, int], *args: Any, **options: Any) -> None:
    """``kernel[grid](*args, **options)``; ``args`` are all of the kernel's, the compiled-in ones too.

    The first tensor is on the current device. Tensors are of one kind where dtypes and alignments are equal
    (Triton compiles for a multiple of 16 bytes or any), numbers where they are equal and of one type (it
    compiles an int of 1 in, and no float).
    """
    kind = (id(kernel), args[0].get_device(), *options.values(), *map(_kind, args))
    program = _programs.get(kind)
    if program is not None:
        program[grid](*args)
        return
    program = kernel[grid](*args, **options)
    if program is not None:  # it is where kernels are interpreted
        if len(_programs) >= _MOST:
            _programs.clear()
        _programs[kind] = program


def _kind(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument.dtype, argument.data_ptr() % 16 == 0
    return type(argument), argument
