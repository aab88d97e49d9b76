"""The random source of one example, confined to one side of the split.

Names and number combinations belong to the held-out side or to the training side by a hash of their text, so
the two sides are disjoint by construction, whatever the seeds. Wordings are split by hand: each question type
lists the wordings that training sees and the ones it never sees.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .names import invented_name, invented_town, invented_word
from .nouns import REAL_NAMES

T = TypeVar("T")
HELD_OUT_SHARE = 6  # one key in six is held out


@dataclass(frozen=True, slots=True)
class Wordings:
    """Templates of one meaning; training draws from `seen` only."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...] = ()


def wordings(*seen: str, unseen: Sequence[str] = ()) -> Wordings:
    """Templates of one meaning, with those kept from training."""
    return Wordings(seen, tuple(unseen))


def is_held_out(key: str) -> bool:
    """Whether a name or a number combination is kept from training."""
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


class World:
    """Draws wordings, names and numbers of one split, and remembers the names in use."""

    def __init__(self, rng: random.Random, *, held_out: bool, unseen_phrasings: bool) -> None:
        self.rng = rng
        self.held_out = held_out
        self.unseen_phrasings = unseen_phrasings
        self.used: set[str] = set()

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.rng.random() < probability

    def say(self, choice: Wordings, /, **fields: object) -> str:
        """One wording of the choice, filled in."""
        pool = choice.unseen if self.unseen_phrasings and choice.unseen else choice.seen
        return self.rng.choice(pool).format_map(fields)

    def name(self) -> str:
        """A first name of this split, not used before in this example."""
        return self._fresh(
            lambda: invented_name(self.rng) if self.chance(0.65) else self.rng.choice(REAL_NAMES)
        )

    def names(self, count: int) -> list[str]:
        """Different first names."""
        return [self.name() for _ in range(count)]

    def town(self) -> str:
        """A town's name of this split."""
        return self._fresh(lambda: invented_town(self.rng))

    def word(self) -> str:
        """An invented lower-case word of this split."""
        return self._fresh(lambda: invented_word(self.rng))

    def draw(self, candidate: Callable[[random.Random], T | None]) -> T:
        """The first candidate that is not None and whose text falls on this side of the split."""
        while True:
            value = candidate(self.rng)
            if value is not None and is_held_out(repr(value)) == self.held_out:
                return value

    def _fresh(self, candidate: Callable[[], str]) -> str:
        while True:
            text = candidate()
            if text not in self.used and is_held_out(text) == self.held_out:
                self.used.add(text)
                return text
