"""What a task is: messages to answer, and the language of right answers."""

from __future__ import annotations

from dataclasses import dataclass

from .answers import Node, accepts
from .world import Wordings

Message = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A question type's product, before it is dressed up."""

    kind: str
    question: str
    answer: Node
    earlier: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A prompt with one reference answer and the grammar of all right answers."""

    family: str
    kind: str
    messages: tuple[Message, ...]
    answer: Node
    reference: str

    def accepts(self, text: str) -> bool:
        """Whether the text is a right answer (white space at both ends aside)."""
        return accepts(self.answer, text)


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants to say, and the parts of the reply; `{name}` is a name that they gave."""

    kind: str
    said: Wordings
    replies: tuple[tuple[str], tuple[str, str]]  # how the reply begins, and its usual and its other ending


def user(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """An assistant's message."""
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    """A system line."""
    return {"role": "system", "content": text}
