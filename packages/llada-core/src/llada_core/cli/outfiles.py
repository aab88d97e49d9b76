"""Files that a command writes: refused before it begins where they could not be written, or stand already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from llada_core.cli.streams import line_of
from llada_core.errors import UsageError

__all__ = ["check_files", "written"]


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
    if path.is_dir():
        return "is a folder; give a file"
    if not path.parent.is_dir():
        return f"cannot be written: there is no folder {path.parent}; make it, or give another file"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return "cannot be written (Permission denied); give another file"
    if path.exists() and not overwrite:
        return "is there already; give another file, or --overwrite"
    return None


def written(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write the file. Raises ``click.ClickException`` where the system does not."""
    try:
        write(path)
    except OSError as exc:
        reason = exc.strerror or line_of(str(exc))
        raise click.ClickException(f"{path} cannot be written ({reason}); make room") from exc
