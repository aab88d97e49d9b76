"""Invented names: built from syllables, so that copying a name means copying its letters."""

from __future__ import annotations

import random

_ONSETS = (
    *"bcdfghjklmnprstvwyz",
    *"bdgklmnrstvz",
    "br",
    "ch",
    "cl",
    "cr",
    "dr",
    "fl",
    "fr",
    "gl",
    "gr",
    "kr",
    "ph",
    "pl",
    "pr",
    "qu",
    "sh",
    "sk",
    "sl",
    "sn",
    "sp",
    "st",
    "sw",
    "th",
    "tr",
    "tw",
    "wh",
    "x",
    "zh",
    "",
)
_VOWELS = (
    *"aeiou",
    *"aeiou",
    *"aeiou",
    "y",
    "ai",
    "au",
    "ea",
    "ee",
    "ia",
    "ie",
    "io",
    "oa",
    "oo",
    "ou",
    "ue",
    "ei",
)
_CODAS = (
    "",
    "",
    "",
    "",
    "",
    "",
    *"bdfgklmnprstvxz",
    "ck",
    "ff",
    "ld",
    "ll",
    "lm",
    "ln",
    "lt",
    "mp",
    "nd",
    "ng",
    "nk",
    "nn",
    "nt",
    "rd",
    "rk",
    "rn",
    "rt",
    "sh",
    "sk",
    "ss",
    "st",
    "th",
    "tz",
)
_TOWN_ENDINGS = (
    "berg",
    "bury",
    "dale",
    "feld",
    "ford",
    "ham",
    "haven",
    "mouth",
    "port",
    "stad",
    "stead",
    "ton",
    "ville",
    "wick",
    "wood",
    "worth",
    "",
    "",
    "",
)


def _syllables(rng: random.Random, count: int) -> str:
    return "".join(
        [
            rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.5 else "")
            for _ in range(count)
        ]
    )


def invented_word(rng: random.Random) -> str:
    """A lower-case word of three to nine letters."""
    while True:
        word = _syllables(rng, rng.choice((1, 2, 2, 2, 3)))
        if 3 <= len(word) <= 9:
            return word


def invented_name(rng: random.Random) -> str:
    """A first name such as ``Tobrin``."""
    return invented_word(rng).capitalize()


def invented_town(rng: random.Random) -> str:
    """A town's name such as ``Krellhaven``."""
    return (_syllables(rng, rng.choice((1, 1, 2))) + rng.choice(_TOWN_ENDINGS)).capitalize()
