"""Texts with blanks: what is fixed, where masks stand, and what the blanks say once they are filled."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeAlias

from llada_core.errors import ParameterError, PromptError
from llada_core.parameters import Parameter, called

__all__ = [
    "Blank",
    "Cloze",
    "Piece",
    "Template",
    "check_cloze",
    "cloze_of",
    "parameters_for",
    "pieces_of",
]

_MOST_BLANKS = 2**16  # of a template: more than any model has positions for
_MOST_CELLS = 2**20  # of the blanks, where a model does not say what it takes
_MOST_DIGITS = 18  # of a length

_TOKEN = re.compile(r"\{\{\{\{|\{\{(?P<length>[^{}]*)\}\}|\{\{")


@dataclass(frozen=True, slots=True)
class Blank:
    """Room for ``max_tokens`` tokens; what it says ends before its first end token."""

    max_tokens: int


Piece: TypeAlias = str | Blank
Template: TypeAlias = str | Sequence["str | Blank | Mapping[str, int]"]
"""Text in which ``{{8}}`` is a blank of eight tokens and ``{{{{`` two braces; or a list of fixed texts and
blanks, each ``Blank(8)`` or ``{"max_tokens": 8}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloze:
    """A template as ids, behind a prompt.

    Attributes:
        before: fixed text at its beginning that stands in the prompt and not in the cells.
        pieces: the other fixed texts and the blanks, in their order.
        cells: their ids, None where a mask stands at the beginning.
        spans: the cells ``[begin, end)`` of each piece.
    """

    before: str
    pieces: tuple[Piece, ...]
    cells: tuple[int | None, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def blanks(self) -> tuple[tuple[int, int], ...]:
        """The cells ``[begin, end)`` of each blank."""
        pairs = zip(self.pieces, self.spans, strict=True)
        return tuple(span for piece, span in pairs if isinstance(piece, Blank))

    def text(self, ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> str:
        """The text as far as ``ids``, the cells before the first mask, tell it.

        ``decode`` gives the text of a blank up to its first end token.
        """
        told = [self.before]
        for piece, (begin, end) in zip(self.pieces, self.spans, strict=True):
            told.append(piece if isinstance(piece, str) else decode(ids[begin:end]))
            if end > len(ids):
                break
        return "".join(told)


def cloze_of(
    template: Template,
    encode: Callable[[str], Sequence[int]],
    *,
    in_prompt: bool = False,
    limit: int | None = None,
) -> Cloze:
    """The template as ids; ``encode`` gives those of a fixed text, without special tokens.

    With ``in_prompt``, fixed text at its beginning is left to the prompt. Raises ``PromptError`` where it has
    no blank, or is none, and ``ParameterError`` where its blanks alone have more than ``limit`` tokens, which
    are what the model takes: before there is a cell of them.
    """
    pieces = pieces_of(template)
    _check_blanks(pieces, _MOST_CELLS if limit is None else limit)
    before = pieces[0] if in_prompt and isinstance(pieces[0], str) else ""
    rest = pieces[1:] if before else pieces
    cells: list[int | None] = []
    spans: list[tuple[int, int]] = []
    for piece in rest:
        begin = len(cells)
        cells.extend(encode(piece) if isinstance(piece, str) else [None] * piece.max_tokens)
        spans.append((begin, len(cells)))
    return Cloze(before=before, pieces=rest, cells=tuple(cells), spans=tuple(spans))


def check_cloze(cloze: Cloze, prompt: int, limit: int | None) -> None:
    """Refuse a template that does not fit behind a prompt of so many tokens where ``limit`` are taken in all.

    Raises ``ParameterError`` where shorter blanks would fit, and ``PromptError`` where its text is too long.
    """
    total = prompt + len(cloze.cells)
    if limit is None or total <= limit:
        return
    blanks = sum(end - begin for begin, end in cloze.blanks)
    text = total - blanks
    if text + len(cloze.blanks) > limit:
        raise PromptError(
            f"prompt and template have {text} tokens of text, and the model takes {limit}, blanks included; "
            "shorten the text"
        )
    raise ParameterError(
        f"blanks of {blanks} tokens beside {text} of text exceed the {limit} that the model takes; give "
        f"blanks (max_tokens) of at most {limit - text} in all, or shorten the text",
        parameter="gen_length",
        value=blanks,
    )


def _check_blanks(pieces: Sequence[Piece], limit: int) -> None:
    blanks = sum(piece.max_tokens for piece in pieces if isinstance(piece, Blank))
    if blanks > limit:
        told = (
            blanks if blanks < 10**_MOST_DIGITS else f"10**{_MOST_DIGITS} and more"
        )  # has digits without end
        raise ParameterError(
            f"blanks of {told} tokens exceed the {limit} that the model takes; give shorter blanks (a "
            "smaller max_tokens)",
            parameter="gen_length",
            value=blanks,
        )


def parameters_for(
    cloze: Cloze | None, params: Mapping[str, object], declared: Iterable[Parameter]
) -> dict[str, object]:
    """``params`` with the length of the answer, where ``cloze`` tells it.

    Raises ``ParameterError`` for one that gives another.
    """
    if cloze is None:
        return dict(params)
    length = called("gen_length", declared)
    names = ("gen_length",) if length is None else length.names
    for name in names:
        if name in params:
            raise ParameterError(
                f"{name}={params[name]!r} beside a template, whose blanks have their lengths; leave it out",
                parameter=name,
                value=params[name],
            )
    return {**params, **({} if length is None else {"gen_length": len(cloze.cells)})}


def pieces_of(template: Template) -> tuple[Piece, ...]:
    """Fixed texts and blanks of the template. Raises ``PromptError``."""
    if isinstance(template, str):
        found = _merged(_parsed(template))
    elif isinstance(template, Sequence) and not isinstance(template, bytes):
        found = _merged(map(_piece, template))
    else:
        raise PromptError(f"{reprlib.repr(template)} is no template; give text with blanks such as {{{{8}}}}")
    pieces = tuple(islice(found, 2 * _MOST_BLANKS + 2))  # at most, as texts do not touch
    blanks = sum(isinstance(piece, Blank) for piece in pieces)
    if not blanks:
        raise PromptError("the template has no blank; write {{8}} where eight tokens are to be filled in")
    if blanks > _MOST_BLANKS:
        raise PromptError(f"the template has more than {_MOST_BLANKS} blanks; give fewer")
    return pieces


def _parsed(text: str) -> Iterator[Piece]:
    end = 0
    for found in _TOKEN.finditer(text):
        yield text[end : found.start()]
        end = found.end()
        length = found["length"]
        if length is None and len(found.group()) == 2:
            raise PromptError(
                f"the template has a {{{{ at character {found.start()} that opens no blank; write {{{{8}}}} "
                "for a blank of eight tokens, or {{{{ for two braces"
            )
        yield "{{" if length is None else _blank(length.strip(), found.group())
    yield text[end:]


def _blank(length: str, written: str) -> Blank:
    if not (length.isascii() and length.isdigit() and length.strip("0")):
        raise PromptError(
            f"{reprlib.repr(written)} in the template is no blank; write {{{{8}}}} for one of eight tokens, "
            "or {{{{ for two braces"
        )
    if len(length) > _MOST_DIGITS:
        raise PromptError(
            f"the length of {reprlib.repr(written)} in the template has {len(length)} digits, and no model "
            "takes so many tokens; write {{8}} for a blank of eight"
        )
    return Blank(int(length))


def _piece(given: Any) -> Piece:
    if isinstance(given, str | Blank):
        return given if isinstance(given, str) else _checked(given.max_tokens)
    if isinstance(given, Mapping) and set(given) == {"max_tokens"}:
        return _checked(given["max_tokens"])
    raise PromptError(
        f"{reprlib.repr(given)} is no part of a template; give text, or a blank as {{'max_tokens': 8}}"
    )


def _checked(length: Any) -> Blank:
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        shown = reprlib.repr(length)
        raise PromptError(f"max_tokens={shown} of a blank is no length; give an integer from 1 on")
    return Blank(length)


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces without empty texts, texts that touch as one: they are one text to the tokenizer."""
    for alike, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if not alike:
            yield from group
        elif text := "".join(map(str, group)):
            yield text
