"""Makes reStructuredText of the sections in docstrings: Args, Attributes, Raises, Returns.

An entry is a name or several, a colon and a text that may go on indented. It becomes a term with its
definition. (Sphinx's own reader of such sections takes one name an entry, and what stands before a colon in a
property's first line for its type.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

SECTION = re.compile(r"(?P<indent> *)(?P<title>Args|Attributes|Raises|Returns|Yields):$")
ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.*)")


def rendered(lines: list[str]) -> Iterator[str]:
    """The lines, with sections as definition lists."""
    inside: int | None = None  # the indentation of the section's heading
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if found := SECTION.match(line):
            inside = indent
            yield from ("", f"{found['indent']}**{found['title']}**", "")
        elif inside is None or not line.strip():
            yield line
        elif indent <= inside:
            inside = None
            yield line
        elif indent == inside + 4 and (entry := ENTRY.fullmatch(line.strip())):
            pad = " " * inside
            names = ", ".join(f"``{name}``" for name in entry["names"].split(", "))
            yield from ("", f"{pad}{names}", f"{pad}    {entry['text']}")
        else:  # the text of an entry goes on, or a section has text alone
            yield " " * (inside + 4) + line.strip() if indent > inside + 4 else " " * inside + line.strip()


def read(app: Sphinx, kind: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Called by autodoc for every docstring."""
    lines[:] = rendered(lines)


def whole(
    app: Sphinx, kind: str, name: str, of: object, options: object, given: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Called by autodoc for every signature: write a default that is made anew so that it parses."""
    return given and given.replace("<factory>", "..."), result


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", read)
    app.connect("autodoc-process-signature", whole)
    return {"parallel_read_safe": True}
