"""The commands that list what is installed: ``plugins``, ``engines``, ``algorithms`` and ``detect``."""

from __future__ import annotations

import click

from llada_core import registry
from llada_core.cli.options import output_options
from llada_core.cli.output import availability, print_json, print_table
from llada_core.detection import Detection
from llada_core.detection import detect as detect_model
from llada_core.registry.wheels import published

__all__ = ["algorithms", "detect", "engines", "plugins"]


@click.command()
@output_options
def plugins(as_json: bool) -> None:
    """List the plugins and what became of each: loaded, blocked or broken, and why."""
    found = registry.plugin_statuses()
    if as_json:
        print_json([plugin.as_dict() for plugin in found])
        return
    rows = [(p.name, p.distribution, p.version, p.status, p.reason) for p in found]
    print_table(("plugin", "distribution", "version", "status", "reason"), rows, empty=_none_of("plugins"))


@click.command()
@output_options
def engines(as_json: bool) -> None:
    """List the engines: whether each can run here, and its algorithms."""
    found = [registry.get_engine(name) for name in registry.list_engines()]
    if as_json:
        print_json([engine.as_dict() for engine in found])
        return
    rows = [
        (e.name, availability(e.reason), e.default_algorithm, ", ".join(e.algorithms), e.distribution)
        for e in found
    ]
    print_table(
        ("engine", "available", "default", "algorithms", "distribution"), rows, empty=_none_of("engines")
    )


@click.command()
@output_options
def algorithms(as_json: bool) -> None:
    """List the algorithms: engine, aliases, whether each can run here; --json shows their parameters too."""
    found = [registry.get_algorithm_info(name) for name in registry.list_algorithms()]
    if as_json:
        print_json([algorithm.as_dict() for algorithm in found])
        return
    rows = [
        (
            f"{a.name} (default)" if a.default else a.name,
            a.engine,
            ", ".join(a.aliases),
            availability(a.reason),
            a.description,
        )
        for a in found
    ]
    columns = ("algorithm", "engine", "aliases", "available", "description")
    print_table(columns, rows, empty=_none_of("algorithms"))


@click.command()
@click.argument("model")
@click.option("--engine", metavar="NAME", help="Ask whether this engine takes it.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id.")
@output_options
def detect(model: str, engine: str | None, revision: str | None, as_json: bool) -> None:
    """Say which engine takes MODEL, a folder or a hub id. Only its config.json is read."""
    found = detect_model(model, engine=engine, revision=revision)
    if as_json:
        print_json(found.as_dict())
    if found.refusal is not None:
        raise found.refusal
    if not as_json:
        _print_detection(found)


def _none_of(what: str) -> str:
    """What a table says that has no rows."""
    told = f"no {what} are installed; pip install {published().recommended}"
    return told if what == "plugins" else f"{told}, and see llada plugins"


def _print_detection(found: Detection) -> None:
    click.echo(found.engine)
    others = [each.engine for each in found.candidates if each.installed and each.engine != found.engine]
    also = f"; {', '.join(others)} would take it too" if others else ""
    click.secho(f"model type {found.model_type}{also}", dim=True)
    chosen = next((each.priority for each in found.candidates if each.engine == found.engine), 0)
    for each in found.candidates:
        if not each.available and each.priority > chosen:
            click.secho(f"{each.engine} would be preferred: {each.reason}", dim=True)
        if not each.installed and each.summary:
            click.secho(f"{each.engine}: {each.summary}", dim=True)
