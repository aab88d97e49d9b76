"""What a network's logits tell of, and whom its columns are to see: what a decoder must know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from llada_core.values import told

__all__ = ["Reading", "declared_reading", "other_class", "reading_of"]

_REMEDY = "take an algorithm of this model's engine, or a model of the algorithm's"
_SEES = {"full": "all of the canvas", "blocks": "its own block and what is before it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a network wants to be read, as its ``reading``; of an algorithm, how it reads.

    Attributes:
        shift: how many columns before a token its logits are: 1 where the network predicts the next token.
        attention: what a column was trained to see: "full" is all of the canvas, "blocks" its own block of
            the answer and what is before that.
    """

    shift: int = 0
    attention: Literal["full", "blocks"] = "full"

    def misread(self, network: Any) -> str | None:
        """Why a decoder that reads so cannot decode on ``network``; None where it can, or nobody knows."""
        declared = declared_reading(network)
        if declared is None or declared == self:
            return None
        if not isinstance(declared, Reading):
            return f"the network's reading is {told(declared)}; make it a llada_runtime.Reading"
        if declared.shift != self.shift:
            return (
                f"it decides each position by the logits of {_place(self.shift)}, and this network's logits "
                f"at a position are of {_place(-declared.shift)}; {_REMEDY}"
            )
        return (
            f"it lets each position see {_SEES[self.attention]}, and this network's were trained to see "
            f"{_SEES[declared.attention]}; {_REMEDY}"
        )


def declared_reading(network: Any) -> Any:
    """The ``reading`` of ``network``, or of the one that it stands around; None where nothing is declared."""
    declared = (getattr(each, "reading", None) for each in _around(network))
    return next((found for found in declared if found is not None), None)


def other_class(network: Any, kind: type[Any] | None) -> str | None:
    """Why a decoder for networks of the class ``kind`` cannot decode on ``network``; None where it can, or
    where the network declares no reading, and nobody knows. A ``kind`` of None is any."""
    known = list(_around(network))
    if kind is None or declared_reading(network) is None or any(isinstance(each, kind) for each in known):
        return None
    return f"it is for a {kind.__name__}, and this network is a {type(known[-1]).__name__}; {_REMEDY}"


def reading_of(network: Any) -> Reading:
    """How ``network`` is to be read: as it declares, or by default."""
    declared = declared_reading(network)
    return declared if isinstance(declared, Reading) else Reading()


def _around(network: Any) -> Iterator[Any]:
    """``network``, the one that it stands around, and so on."""
    inner, seen = network, set()
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        inner = getattr(inner, "network", None)


def _place(columns: int) -> str:
    """Where something is that is so many columns before a position, or behind it where that is negative."""
    if not columns:
        return "that position"
    side = "before" if columns > 0 else "after"
    return f"the one {side}" if abs(columns) == 1 else f"the one {abs(columns)} {side}"
