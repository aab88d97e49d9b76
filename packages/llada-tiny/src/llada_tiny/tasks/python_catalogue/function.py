"""What is known of a function that can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from ..world import Wordings


@dataclass(frozen=True, slots=True)
class Function:
    """What is asked for, the usual name, and the code that does it."""

    what: Wordings
    name: str
    arguments: tuple[str, str]  # the usual argument list and another one
    body: str  # `{a}` and `{b}` are the arguments, `{n}`, `{m}` and `{q}` the constants
