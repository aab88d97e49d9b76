"""Files that a command writes: refused before it begins where they could not be written, or stand already."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

from llada_core.cli.streams import line_of
from llada_core.errors import UsageError

__all__ = ["check_files", "written"]

_REMEDIES: Mapping[int | None, str] = {errno.ENOSPC: "make room", errno.EDQUOT: "make room"}
_OTHERWISE = "give another file"


def check_files(files: Iterable[tuple[str, Path]], *, overwrite: bool) -> None:
    """Refuse options with a file that cannot be written, is another one's, or is there and not to be
    overwritten. Raises ``UsageError``."""
    seen: dict[Path, str] = {}
    for option, path in files:
        reason = _why_not(path, overwrite)
        if reason is not None:
            raise UsageError(f"{option}: {path} {reason}")
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise UsageError(f"{option}: {path} is what {other} writes; give another file")


def _why_not(path: Path, overwrite: bool) -> str | None:
    try:
        if path.is_dir():
            return "is a folder; give a file"
        if not path.parent.is_dir():
            return f"cannot be written: there is no folder {path.parent}; make it, or give another file"
        _open(path)
    except OSError as exc:
        return f"cannot be written ({exc.strerror}); give another file"
    if path.exists() and not overwrite:
        return "is there already; give another file, or --overwrite"
    return None


def _open(path: Path) -> None:
    """Open the file as writing it will: what is there stays as it is, and what is not, is not there
    afterwards. What is no file, such as a pipe, is left alone. Raises ``OSError``."""
    if not path.exists():
        real = os.path.realpath(path)  # a link may lead to where nothing can be
        os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(real)
    elif path.is_file():
        os.close(os.open(path, os.O_WRONLY))


def written(path: Path, write: Callable[[Path], object]) -> Exception | None:
    """Let ``write`` write the file. Returns why it could not, None where it could: one file less is no reason
    to lose what else was measured."""
    try:
        write(path)
    except OSError as exc:
        reason = exc.strerror or line_of(str(exc))
        remedy = _REMEDIES.get(exc.errno, _OTHERWISE)
        return click.ClickException(f"{path} cannot be written ({reason}); {remedy}")
    except Exception as exc:  # of what draws it
        return exc
    return None
