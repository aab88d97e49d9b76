"""What a ``generate`` returned, checked. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.generation.answers import why_no_count
from llada_core.values import told

__all__ = ["Returned", "read_returned"]

_WANTED = "its generate must return (output_ids, nfe)"
_SHAPE = "its generate must return ids of shape [B, P+G], prompt columns included"


class Returned(NamedTuple):
    """What follows each prompt, and the count of forwards."""

    answers: list[list[int]]
    nfe: int


def read_returned(returned: object, prompts: Tensor) -> Returned:
    """What ``generate`` made of ``prompts``, int64 ``[B, P]``, as plain numbers.

    Raises ``ContractError`` where it is no pair of ids, an integer tensor ``[B, P+G]`` that begins with the
    prompts as they were given, and a number of forwards.
    """
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise ContractError(f"it returned {told(returned)}; {_WANTED}")
    output, nfe = returned
    if not isinstance(output, Tensor) or output.is_floating_point() or output.dtype == torch.bool:
        raise ContractError(f"it returned {told(output)} as output_ids; {_WANTED}, ids as int64 [B, P+G]")
    rows, width = prompts.shape
    if output.dim() != 2:
        raise ContractError(f"it returned ids of shape {list(output.shape)} for {rows} prompts; {_SHAPE}")
    if len(output) != rows:
        raise ContractError(f"it returned {len(output)} rows for {rows} prompts; {_SHAPE}")
    if output.shape[1] <= width:
        raise ContractError(f"it returned {output.shape[1]} columns for prompts of {width}; {_SHAPE}")
    if not torch.equal(output[:, :width].to(prompts), prompts):
        raise ContractError(
            f"the first {width} columns that it returned are not the prompt; "
            "its generate must return the prompt's columns as they were given, and behind them the answer"
        )
    return Returned(answers=output[:, width:].tolist(), nfe=_count(nfe))


def _count(nfe: object) -> int:
    """The count as an int, of whatever kind of integers it is; a bool is no count."""
    count = nfe
    if not isinstance(nfe, bool) and hasattr(nfe, "__index__"):
        try:
            count = index(nfe)
        except (TypeError, ValueError, RuntimeError):  # a tensor of several, or of floats
            count = nfe
    problem = why_no_count(count)
    if problem is not None:
        raise ContractError(problem)
    assert isinstance(count, int)
    return count
