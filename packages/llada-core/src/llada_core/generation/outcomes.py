"""What a row's caller is told where it has failed."""

from __future__ import annotations

import copy
import traceback
from types import FrameType

from llada_core.errors import GenerationError, LladaError
from llada_core.faults import one_line, remedy, whose
from llada_core.generation.jobs import Job

__all__ = ["let_go", "located"]


def located(error: Exception, job: Job) -> GenerationError:
    """The error of a row as its caller sees it: it names algorithm, distribution and row, cause chained."""
    name, distribution = job.algorithm.name, job.distribution
    # Our errors end with the remedy themselves.
    said = str(error) if isinstance(error, LladaError) else f"{one_line(error)}; {remedy(distribution)}"
    message = f"{whose(name, distribution)} failed in row {job.index}: {said}"
    if isinstance(error, GenerationError):
        told = copy.copy(error)  # of its own kind; the same fault may have ended several rows
        told.args = (message,)
    else:
        told = GenerationError(message)
    told.algorithm, told.distribution, told.row = name, distribution, job.index
    told.__cause__ = error
    let_go(error)
    return told


def let_go(error: BaseException | None) -> None:
    """Clear the frames that an error's tracebacks hold: their variables keep a loop and its memory alive.

    Files and lines stay readable.
    """
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            caller: FrameType | None = frame
            while caller is not None:
                try:
                    caller.clear()
                except RuntimeError:  # it is still being executed, as all that called it
                    break
                caller = caller.f_back
        error = error.__cause__ or error.__context__
