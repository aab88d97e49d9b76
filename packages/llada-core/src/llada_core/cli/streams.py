"""What is read from stdin and written to stdout, whatever encodings the two have and whether they are open.

What stdout cannot hold is written as an escape, and said once on stderr: no answer is lost.
"""

from __future__ import annotations

import codecs
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from llada_core.cli.diversion import stdout
from llada_core.errors import PromptError, UsageError

__all__ = [
    "ESCAPED",
    "check_stdout",
    "check_text",
    "columns_of",
    "decoded",
    "drop_stdout",
    "holds",
    "line_of",
    "printable",
    "read_stdin",
    "stdin_lines",
    "tolerant_stdout",
    "write",
]

ESCAPED = "llada_core.escaped"
"""The error handler of stdout: ``backslashreplace``, which remembers what it replaced."""
_STRICT = ("strict", "surrogateescape")
# What moves a cursor, colours a terminal or turns the direction of text, and halves of characters.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNDECODED = re.compile(r"[\udc80-\udcff]")  # how Python keeps a byte that it cannot decode
_SHOWN = 5  # characters that a note names


def printable(text: str) -> str:
    """``text`` with control sequences and halves of characters as escapes; lines and tabs stay."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def line_of(text: str) -> str:
    """``text`` as one printable line."""
    return " ".join(printable(text).split())


def write(text: str) -> None:
    """Write ``text`` to stdout at once: as it stands, and printable where that is a terminal."""
    stream = check_stdout()
    try:
        stream.write(printable(text) if stream.isatty() else text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        message = f"stdout cannot be written ({exc.strerror}); make room, or send it elsewhere"
        raise click.ClickException(message) from exc


def check_stdout() -> TextIO:
    """stdout, known to be open: nothing can be written to a closed one."""
    stream = stdout()
    if stream is None:
        raise click.ClickException("stdout is closed, so no answer can be written; send it to a file or pipe")
    return stream


def holds(text: str) -> bool:
    """Whether stdout's encoding has every character of ``text``."""
    try:
        text.encode(getattr(stdout(), "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def tolerant_stdout() -> Iterator[None]:
    """While this is entered, stdout takes every character; at the end, stderr says which were escaped."""
    stream: Any = stdout()
    before = getattr(stream, "errors", None)
    if before not in _STRICT or not hasattr(stream, "reconfigure"):
        yield
        return
    replaced: dict[str, None] = {}
    codecs.register_error(ESCAPED, _escaping_into(replaced))
    stream.reconfigure(errors=ESCAPED)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):  # its reader is gone, or somebody closed it
            stream.reconfigure(errors=before)
        if replaced:
            _tell(list(replaced), stream.encoding)


def _escaping_into(replaced: dict[str, None]) -> Callable[[UnicodeError], tuple[str | bytes, int]]:
    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        if isinstance(error, UnicodeEncodeError):
            replaced.update(dict.fromkeys(error.object[error.start : error.end]))
        return codecs.backslashreplace_errors(error)

    return escape


def _tell(characters: list[str], encoding: str) -> None:
    shown = ", ".join(ascii(each)[1:-1] for each in characters[:_SHOWN])
    more = f" and {len(characters) - _SHOWN} more" if len(characters) > _SHOWN else ""
    click.echo(
        f"note: stdout's encoding, {encoding}, lacks some characters, which are written as {shown}{more}; "
        "set PYTHONIOENCODING=utf-8, or give --json",
        err=True,
    )


def drop_stdout() -> None:
    """Leave stdout nowhere to fail when Python flushes it on exit."""
    with suppress(AttributeError, OSError, ValueError):  # it is closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def columns_of(stream: TextIO | None) -> int | None:
    """The width of the terminal that ``stream`` is; None where it is none."""
    if stream is None or not stream.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def read_stdin() -> str:
    """All of stdin; a byte that is no text in its encoding is a half of a character, as in file names.

    Raises ``UsageError`` where it is closed.
    """
    stdin = _open_stdin("there is no prompt to read; give the prompt itself")
    return decoded(_bytes_of(stdin).read(), stdin.encoding)


def stdin_lines() -> Iterator[str]:
    """The lines of stdin as they come, as ``read_stdin`` reads them."""
    stdin = _open_stdin("there is nobody to talk to; give it a terminal, a file or a pipe")
    for line in _bytes_of(stdin):
        yield decoded(line, stdin.encoding)


def _open_stdin(otherwise: str) -> TextIO:
    if sys.stdin is None:
        raise UsageError(f"stdin is closed, so {otherwise}")
    return sys.stdin


def _bytes_of(stdin: TextIO) -> Any:
    """stdin's bytes, which tell what cannot be decoded; its text where it has none, as a ``StringIO``."""
    return getattr(stdin, "buffer", stdin)


def decoded(read: bytes | str, encoding: str | None) -> str:
    """What was read, as text; ``check_text`` refuses what was none."""
    if isinstance(read, bytes):
        read = read.decode(encoding or "utf-8", errors="surrogateescape")
    return read.removeprefix("\ufeff")


def check_text(text: str, source: str | None = None, encoding: str | None = None) -> str:
    """``text``, known to hold no byte that is no text in ``encoding``.

    Other halves of characters are for whoever reads it as a prompt to refuse. Raises ``PromptError``, which
    says which byte stands where.
    """
    found = _UNDECODED.search(text)
    if found is None:
        return text
    before, byte = text[: found.start()], ord(found[0]) - 0xDC00
    line = f"line {before.count(chr(10)) + 1}, " if "\n" in text.rstrip("\n") else ""
    where = f"at {line}column {len(before) - before.rfind(chr(10))}"
    target = encoding or "utf-8"
    what = f"byte 0x{byte:02x} {where} is not text in {target}"
    said = f"{what}; convert it, such as by iconv -f latin1 -t {target}"
    raise PromptError(f"{source}: {said}" if source else said)
