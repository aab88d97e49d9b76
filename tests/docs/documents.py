"""The documents of this repository, and what is written in them as code."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = [
    "DOCUMENTS",
    "FENCE",
    "NOT_RUN",
    "ROOT",
    "Block",
    "blocks",
    "each_document",
    "name_of",
    "prose",
    "spans",
]

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "packages/*/*.md",
        "examples/*/*.md",
        "3rdparty/*.md",
        "benchmarks/*.md",
    )
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```(?P<info>[\w{].*?)\n(?P<text>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
NOT_RUN = "not-run:"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the words of its first line."""

    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def reason(self) -> str | None:
        """Why the block does not run, where it says so."""
        given, _, reason = " ".join(self.words[1:]).partition(NOT_RUN)
        return reason.strip() if not given and reason else None

    @property
    def command(self) -> list[str]:
        shells = {"python": [sys.executable, "-c"], "sh": ["sh", "-euc"]}
        return [*shells[self.words[0]], self.text]


def blocks(document: Path) -> list[Block]:
    return [
        Block(tuple(found["info"].split()), found["text"]) for found in FENCE.finditer(document.read_text())
    ]


def prose(document: Path) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", document.read_text())


def spans(document: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
