"""A project, written from the template."""

from __future__ import annotations

import shutil
from importlib import resources
from typing import TYPE_CHECKING

from llada_core.errors import UsageError
from llada_core.faults import one_line
from llada_core.imports import LazyModule
from llada_dev.new.project import Project

if TYPE_CHECKING:
    import copier
else:
    copier = LazyModule("copier")  # half a second, which whoever asks for --help need not wait

__all__ = ["write"]


def write(project: Project) -> None:
    """Write ``project`` into its folder, which is made where it does not exist.

    A folder that was made is removed where writing fails. Raises ``UsageError`` where it cannot be written.
    """
    folder, there = project.folder, project.folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(project)
    except BaseException as exc:
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(exc, OSError):
            raise
        told = one_line(exc)
        raise UsageError(f"{folder} cannot be written ({told}); give --out a folder that can be") from exc


def _fill(project: Project) -> None:
    with resources.as_file(resources.files("llada_dev") / "template") as template:
        copier.run_copy(
            str(template),
            project.folder,
            data=project.facts,
            defaults=True,
            overwrite=True,
            quiet=True,
            cleanup_on_error=False,
        )
