"""What is written into a new plugin, as facts."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import llada_core
from llada_core.errors import UsageError
from llada_core.faults import one_line
from llada_dev.new.engines import Base, base_of, installed_version, range_of
from llada_dev.new.naming import check_algorithm, check_distribution, class_of, module_of

__all__ = ["Project", "author_here", "check_folder", "planned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A plugin with one algorithm: its names, what it stands on, and the folder that it is written into."""

    distribution: str
    algorithm: str
    author: str
    base: Base
    folder: Path

    @property
    def facts(self) -> dict[str, str]:
        """What the template asks for."""
        core, runtime = llada_core.__version__, installed_version("llada-runtime")
        return {
            "distribution": self.distribution,
            "module": module_of(self.distribution),
            "algorithm": self.algorithm,
            "class_name": class_of(self.algorithm),
            "author": self.author,
            "engine": self.base.engine,
            "base": self.base.distribution,
            "base_lowest": self.base.version,
            "base_range": range_of(self.base.version),
            "core_lowest": core,
            "core_range": range_of(core),
            "runtime_lowest": runtime,
            "runtime_range": range_of(runtime),
        }


def planned(name: str, *, engine: str, algorithm: str, author: str, folder: Path) -> Project:
    """The plugin ``name``, known to be possible; nothing is written.

    Raises ``UsageError`` and ``UnknownEngine``.
    """
    check_distribution(name)
    check_folder(folder)
    check_algorithm(algorithm)
    check_author(author)
    return Project(distribution=name, algorithm=algorithm, author=author, base=base_of(engine), folder=folder)


def check_folder(folder: Path) -> None:
    """Refuse to write over what is there. Raises ``UsageError``."""
    try:
        there, full = folder.exists(), folder.is_dir() and any(folder.iterdir())
    except (OSError, ValueError) as exc:  # a name that is too long, or that holds NUL; a folder of others
        raise UsageError(
            f"{str(folder)[:60]!r} cannot be looked into ({one_line(exc)[:120]}); give --out another folder"
        ) from exc
    if full:
        raise UsageError(f"{folder} is not empty; empty it, or give --out another folder")
    if there and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; move it away, or give --out another one")


def check_author(author: str) -> None:
    """Refuse an author that cannot stand in metadata, which has a line for it. Raises ``UsageError``."""
    if not author.strip() or not author.isprintable():
        raise UsageError(f"{author!r} names no author; give --author a name")


def author_here(name: str) -> str:
    """Who git says works here; where it says nothing, the developers of ``name``."""
    git = shutil.which("git")
    if git is None:
        return f"The {name} developers"
    asked = subprocess.run([git, "config", "user.name"], capture_output=True)
    return _text(asked.stdout).strip() or f"The {name} developers"


def _text(written: bytes) -> str:
    """What a configuration of any age says: UTF-8, or else the Latin-1 of before, in which all is text."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return written.decode("latin-1")
