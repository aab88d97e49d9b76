"""A folder that is filled whole or not at all. This module does not know what with."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llada_core.errors import UsageError

__all__ = ["NewFolder"]

_OF_THE_DISK = "lost+found"  # in the root of a file system that holds nothing
_LAST = "config.json"  # without it a folder is no model


class NewFolder:
    """A folder to be filled that is not there yet, or is and holds nothing, as a mounted disk may.

    Attributes:
        path: as it was given. A link to a folder is that folder.
        disk: the folder in which writing takes room: it itself, or the nearest above that is there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ``UsageError`` where ``path`` holds something, or cannot be a folder."""
        self.path = Path(os.path.expanduser(os.fspath(path)))
        self._folder = Path(os.path.realpath(self.path))
        self.disk = _nearest(self._folder)
        if not self.disk.is_dir() or (self.path.is_symlink() and self.disk != self._folder):
            told = self.path if self.disk == self._folder or self.path.is_symlink() else self.disk
            raise UsageError(f"{told} is there and no folder; give a new one")
        self._is_there = self.disk == self._folder
        try:
            if self._is_there and _holds(self._folder):
                raise UsageError(f"{self.path} is not empty; give a new folder")
        except OSError as exc:
            raise UsageError(f"{self.path} cannot be read ({exc.strerror}); give another folder") from exc

    @contextmanager
    def filled(self) -> Iterator[Path]:
        """A hidden folder on the same disk, whose files are in the folder once it is left; where it is left
        by an error, nothing is there that was not before. Raises ``OSError``."""
        with self._parents():
            inside = self._folder if self._is_there else self._folder.parent
            hidden = inside / f".{self._folder.name}-{secrets.token_hex(4)}"
            hidden.mkdir()
            try:
                yield hidden
                self._take(hidden)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)

    @contextmanager
    def _parents(self) -> Iterator[None]:
        """The folders above that are missing, made; and removed where something goes wrong."""
        above = self._folder.parents
        missing = [] if self._is_there else [each for each in above if not each.exists()]
        try:
            for each in reversed(missing):
                each.mkdir()
            yield
        except BaseException:
            for each in missing:
                with suppress(OSError):  # it was not made, or somebody else has put something there
                    each.rmdir()
            raise

    def _take(self, hidden: Path) -> None:
        if not self._is_there:
            hidden.rename(self._folder)
            return
        if any(each.name not in (hidden.name, _OF_THE_DISK) for each in self._folder.iterdir()):
            raise FileExistsError(f"something else was written to {self._folder} meanwhile")
        moved: list[Path] = []
        try:
            for each in sorted(hidden.iterdir(), key=lambda each: each.name == _LAST):
                moved.append(self._folder / each.name)
                each.rename(moved[-1])
        except BaseException:
            for each in moved:
                _remove(each)
            raise


def _nearest(folder: Path) -> Path:
    """What is there of ``folder`` and the folders above it, the lowest."""
    return next(each for each in (folder, *folder.parents) if os.path.lexists(each))


def _holds(folder: Path) -> bool:
    return any(each.name != _OF_THE_DISK for each in folder.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
