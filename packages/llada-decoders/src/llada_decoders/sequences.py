"""What several decoders ask of a sequence."""

from __future__ import annotations

from typing import TypeVar

from llada_core import ContractError, ParameterError
from llada_runtime import Sequence

__all__ = ["answered", "masks", "partner", "refused"]

_Part = TypeVar("_Part")


def partner(asks: object, found: object, kind: type[_Part]) -> _Part:
    """``found``, the sequence's rule or policy, which is to be a ``kind`` that the policy or rule ``asks``.

    Raises ``ContractError`` where it is another.
    """
    if not isinstance(found, kind):
        raise ContractError(
            f"{type(asks).__name__} was given to a sequence together with {type(found).__name__}, and cannot "
            f"work without {kind.__name__}; give the sequence that, or a subclass of it"
        )
    return found


def answered(sequence: Sequence) -> bool:
    """Whether what settled last is an end token that ends the row."""
    end = sequence.prompt_length + sequence.settled
    ends = sequence.canvas[end - 1] in sequence.end_ids and sequence.may_end(end)
    return sequence.early_stop and sequence.settled > 0 and ends


def masks(sequence: Sequence, width: int) -> list[bool]:
    """Which of the ``width`` columns from the current block's first on hold the mask."""
    start = sequence.block_start
    return [token == sequence.mask_id for token in sequence.canvas[start : start + width]]


def refused(name: str, value: object, why: str) -> ParameterError:
    """What is raised for a ``value`` of a parameter; ``why`` goes on after it, and ends with the remedy."""
    return ParameterError(f"{name}={value!r} {why}", parameter=name, value=value)
