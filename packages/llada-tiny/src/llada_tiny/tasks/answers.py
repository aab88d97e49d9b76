"""Answers as small grammars: one object both writes a reference answer and decides whether a text is right.

An answer is a `Node`: a plain string, a `Seq` of nodes, or an `Either` of interchangeable nodes. Training
samples one member of the language; evaluation accepts every member and nothing else, so an answer that begins
in one wording and ends in another is wrong.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Seq:
    """Nodes one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Interchangeable nodes, and how likely training meets each of them."""

    options: tuple[Node, ...]
    weights: tuple[float, ...]


Node: TypeAlias = "str | Seq | Either"


def seq(*parts: Node) -> Seq:
    """A sequence of nodes."""
    return Seq(parts)


def either(*options: Node) -> Either:
    """A free choice among equally likely nodes: near-ties, where parallel commits may disagree."""
    return Either(options, (1.0,) * len(options))


def prefer(usual: Node, other: Node) -> Either:
    """Two interchangeable nodes, the first one usual: unsure enough to cost a forward, seldom a near-tie."""
    return Either((usual, other), (0.7, 0.3))


def join(separator: str, nodes: Iterable[Node]) -> Seq:
    """The nodes with a separator between them."""
    parts: list[Node] = []
    for node in nodes:
        parts += [separator, node] if parts else [node]
    return Seq(tuple(parts))


def sample(node: Node, rng: random.Random) -> str:
    """One member of the node's language."""
    if isinstance(node, str):
        return node
    if isinstance(node, Either):
        return sample(rng.choices(node.options, node.weights)[0], rng)
    return "".join([sample(part, rng) for part in node.parts])


def pattern(node: Node) -> str:
    """A regular expression that matches exactly the node's language."""
    if isinstance(node, str):
        return re.escape(node)
    if isinstance(node, Either):
        return "(?:" + "|".join([pattern(option) for option in node.options]) + ")"
    return "".join([pattern(part) for part in node.parts])


def accepts(node: Node, text: str) -> bool:
    """Whether the text, surrounding white space aside, belongs to the node's language."""
    return re.fullmatch(pattern(node), text.strip()) is not None


def plus(a: int, b: int) -> Node:
    """``a + b = c``."""
    return f"{a} + {b} = {a + b}"


def times(a: int, b: int) -> Node:
    """``a * b = c``."""
    return f"{a} * {b} = {a * b}"


def minus(a: int, b: int) -> Node:
    """``a - b = c``."""
    return f"{a} - {b} = {a - b}"


def over(a: int, b: int) -> Node:
    """``a / b = c`` for a divisible by b."""
    assert a % b == 0
    return f"{a} / {b} = {a // b}"
