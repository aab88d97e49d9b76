"""What a loop's step told, checked: loops are other people's code, and everybody relies on their steps."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from llada_core.errors import ContractError
from llada_core.generation.steps import Step, StepLoop, Ticket
from llada_core.values import told

__all__ = ["emitted"]


def emitted(loop: StepLoop, running: Collection[Ticket]) -> list[Step]:
    """Run one step of a loop with these rows: its steps, that tell of its own rows, and of the end of each
    once.

    A row that it has let go of without a word ends too. Raises ``ContractError`` for anything else.
    """
    steps: object = loop.step()
    if not isinstance(steps, list) or not all(isinstance(step, Step) for step in steps):
        raise ContractError(f"its loop's step returned {reprlib.repr(steps)}; return a list of Steps")
    ended, known = [step.ticket for step in steps if step.finished], set(running)
    if len(set(ended)) < len(ended) or any(step.ticket not in known for step in steps):
        raise ContractError("its loop's step told of a row that had ended; each row has one final step")
    for step in steps:
        _check(step)
    if not loop.active:
        lost = ContractError("its loop let go of the row without a final step; tell Step.last of its ticket")
        steps = steps + [Step.last(each, error=lost) for each in running if each not in ended]
    return steps


def _check(step: Step) -> None:
    """Refuse a step whose facts are not of their kinds."""
    for name, (fits, wanted) in _KINDS.items():
        value = getattr(step, name)
        if not fits(value):
            raise ContractError(f"its loop's step has {told(value)} as {name}; let it be {wanted}")
    if step.inserted and step.gen_length is None:
        raise ContractError(
            f"its loop's step inserts {list(step.inserted)} and has no gen_length; tell how long the answer "
            "is now"
        )
    if len(step.tokens) != len(step.positions):
        raise ContractError(
            f"its loop's step tells {len(step.tokens)} tokens at {len(step.positions)} positions; tell one "
            "for each"
        )
    for name in ("confidence", "alternatives", "log_probabilities", "drawn_log_probabilities"):
        count = len(getattr(step, name))
        if count not in (0, len(step.positions)):
            raise ContractError(
                f"its loop's step has {count} of {name} at {len(step.positions)} positions; tell one for "
                "each, or none"
            )


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _offsets(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(each) is int for each in value)


def _insertions(value: Any) -> bool:
    pairs = isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
    return pairs and all(_count(offset) and _count(count) and count for offset, count in value)


def _tuple(value: Any) -> bool:
    return isinstance(value, tuple)


_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "block": (_count, "an int, 0 or more"),
    "nfe": (_count, "an int, 0 or more"),
    "settled": (_count, "an int, 0 or more"),
    "positions": (_offsets, "a tuple of ints"),
    "tokens": (_offsets, "a tuple of ids, as ints"),
    "revoked": (_offsets, "a tuple of ints"),
    "inserted": (_insertions, "a tuple of offsets, each with a count of masks"),
    "gen_length": (lambda value: value is None or _count(value), "an int, 0 or more, or None"),
    "confidence": (_tuple, "a tuple of probabilities"),
    "alternatives": (_tuple, "a tuple of the likeliest of each position"),
    "log_probabilities": (_tuple, "a tuple of logarithms"),
    "drawn_log_probabilities": (_tuple, "a tuple of logarithms"),
    "error": (lambda value: value is None or isinstance(value, Exception), "an exception, or None"),
}
