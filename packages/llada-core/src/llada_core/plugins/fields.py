"""What the fields of every spec must be: names, targets, texts, tuples. Each check raises ``InvalidSpec``,
which begins with the ``owner`` of the field."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement

from llada_core.errors import InvalidSpec

__all__ = [
    "check_distinct",
    "check_name",
    "check_names",
    "check_requirements",
    "check_string",
    "check_target",
    "check_tuple",
    "check_words",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def check_name(owner: str, field: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpec(f"{owner}: {field} {name!r} must consist of letters, digits, '.', '_' and '-'")


def check_names(owner: str, name: object, aliases: object) -> None:
    check_name(owner, "name", name)
    check_tuple(owner, "aliases", aliases, str)
    assert isinstance(aliases, tuple)
    for alias in aliases:
        check_name(owner, "alias", alias)
    check_distinct(owner, "name and aliases", [name, *aliases])


def check_target(owner: str, field: str, target: object) -> None:
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise InvalidSpec(f"{owner}: {field} {target!r} must read 'module:attr'")


def check_string(owner: str, field: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidSpec(f"{owner}: {field} must be a string, not {text!r}")


def check_tuple(owner: str, field: str, values: object, kind: type) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        raise InvalidSpec(f"{owner}: {field} must be a tuple of {kind.__name__}, not {values!r}")


def check_words(owner: str, field: str, words: object) -> None:
    check_tuple(owner, field, words, str)
    assert isinstance(words, tuple)
    if not all(words):
        raise InvalidSpec(f"{owner}: {field} {words!r} holds an empty string; leave it out")


def check_distinct(owner: str, what: str, names: Iterable[object]) -> None:
    listed = list(names)
    repeated = sorted({str(name) for name in listed if listed.count(name) > 1})
    if repeated:
        raise InvalidSpec(f"{owner}: {what} must be distinct; repeated: {', '.join(repeated)}")


def check_requirements(owner: str, requires: tuple[str, ...]) -> None:
    for text in requires:
        try:
            Requirement(text)
        except InvalidRequirement as exc:
            raise InvalidSpec(f"{owner}: {text!r} in requires is not a requirement: {exc}") from exc
