"""``llada new``: the questions, where somebody is there to be asked, and what to do with what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from llada_core.errors import UsageError
from llada_dev.new.engines import base_of, default_engine
from llada_dev.new.naming import algorithm_named, check_algorithm, check_distribution
from llada_dev.new.project import Project, author_here, check_author, check_folder, planned
from llada_dev.new.writing import write

__all__ = ["new"]


@click.command()
@click.argument("name")
@click.option("--engine", help="Engine that the algorithm runs on. Default: fast-dllm.")
@click.option("--algorithm", help="Name of the algorithm. Default: NAME without llada-.")
@click.option("--author", help="Who stands in the metadata. Default: who git says works here.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: ./NAME.")
def new(name: str, engine: str | None, algorithm: str | None, author: str | None, out: Path | None) -> None:
    """Write the plugin NAME: a wheel with an algorithm, its tests and all that publishing it takes.

    On a terminal, what no option says is asked.
    """
    check_distribution(name)
    folder = Path(name) if out is None else out
    check_folder(folder)
    project = planned(
        name,
        engine=_asked("Engine", default_engine(), base_of) if engine is None else engine,
        algorithm=(
            _asked("Name of the algorithm", algorithm_named(name), check_algorithm)
            if algorithm is None
            else algorithm
        ),
        author=_asked("Author", author_here(name), check_author) if author is None else author,
        folder=folder,
    )
    write(project)
    click.echo(_told(project))


def _asked(question: str, default: str, check: Callable[[str], object]) -> str:
    """The answer to a question that passes ``check``; the default where nobody is there to be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return default

    def checked(answer: str) -> str:
        try:
            check(answer)
        except UsageError as exc:
            raise click.UsageError(str(exc)) from exc
        return answer

    answer: str = click.prompt(question, default=default, value_proc=checked, err=True)
    return answer


def _told(project: Project) -> str:
    folder = project.folder if project.folder.is_absolute() else Path(".") / project.folder
    where = str(folder) if folder.is_absolute() else f"./{folder.as_posix()}"
    return (
        f"{where} holds the algorithm {project.algorithm} on {project.base.engine}\n\n"
        f"pip install {where}\n"
        f'llada generate "What is 12 + 30?" --algorithm {project.algorithm}\n'
        f"its README.md says how to test and publish it"
    )
