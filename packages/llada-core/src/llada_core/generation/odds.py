"""How probable tokens are where masks stand: what a network is asked, and what it tells.

Knows nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from llada_core.errors import NumericalError

__all__ = ["Look", "Odds", "refuse_nan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A canvas of ids and masks. ``tokens`` are asked of, one in each of ``columns``, which are masked and
    ascending, one at least; others may be masked, too."""

    canvas: tuple[int, ...]
    columns: tuple[int, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Odds:
    """Of the token that was asked of, the natural log of its probability; and the ``likeliest`` tokens in its
    place with theirs, likeliest first, one at least. The mask token is none of them: it is never written."""

    log_probability: float
    likeliest: tuple[tuple[int, float], ...]

    @property
    def is_likeliest(self) -> bool:
        """Whether no token is more probable here."""
        return self.log_probability >= self.likeliest[0][1]


def refuse_nan(logs: Iterable[float], algorithm: str) -> None:
    """Raise ``NumericalError`` where what ``algorithm`` told is no number: it could be compared with none."""
    if any(map(math.isnan, logs)):
        raise NumericalError(
            "the network's logits are NaN, so no text has a probability; load the model in float32 or check "
            "its weights",
            algorithm=algorithm,
        )
