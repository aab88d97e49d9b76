"""A project, written from the template."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from llada_core.imports import LazyModule
from llada_dev.new.project import Project

if TYPE_CHECKING:
    import copier
else:
    copier = LazyModule("copier")  # half a second, which whoever asks for --help need not wait

__all__ = ["write"]


def write(project: Project) -> None:
    """Write ``project`` into its folder, which is made where it does not exist.

    A folder that was made is removed where writing fails. Raises ``OSError``.
    """
    with resources.as_file(resources.files("llada_dev") / "template") as template:
        copier.run_copy(
            str(template), project.folder, data=project.facts, defaults=True, overwrite=True, quiet=True
        )
