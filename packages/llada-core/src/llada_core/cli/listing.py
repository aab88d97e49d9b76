"""The commands that list what is installed: ``plugins``, ``engines``, ``algorithms``, ``parts`` and
``detect``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from llada_core import registry
from llada_core.cli.details import print_algorithm, print_engine, print_parts
from llada_core.cli.options import output_options, trust_option
from llada_core.cli.output import note, print_json, print_line, print_table
from llada_core.cli.streams import line_of
from llada_core.cli.tables import Column
from llada_core.detection import Detection
from llada_core.detection import detect as detect_model
from llada_core.errors import UnknownPart
from llada_core.plugins.info import AlgorithmInfo, PartInfo
from llada_core.plugins.status import PluginStatus
from llada_core.registry.wheels import published

__all__ = ["algorithms", "detect", "engines", "parts", "plugins"]


@click.command()
@output_options
def plugins(as_json: bool) -> None:
    """List the plugins and what became of each: loaded, blocked or broken, and why."""
    found = registry.plugin_statuses()
    if as_json:
        print_json([plugin.as_dict() for plugin in found])
        return
    rows = [
        (p.name, p.distribution or "", p.version or "", p.status, _load_time(p), p.reason or "")
        for p in found
    ]
    _print(("plugin", "distribution", "version", "status", "load", "reason"), rows, "plugins")
    for plugin in found:
        for warning in plugin.warnings:
            click.echo(f"warning: {plugin.name}: {line_of(warning)}", err=True)


@click.command()
@click.argument("name", required=False)
@output_options
def engines(name: str | None, as_json: bool) -> None:
    """List the engines, whether each can run here, and its algorithms; or tell all about the engine NAME."""
    if name is not None:
        print_engine(registry.get_engine(name), as_json=as_json)
        return
    found = [registry.get_engine(each) for each in registry.list_engines()]
    if as_json:
        print_json([engine.as_dict() for engine in found])
        return
    rows = [
        (e.name, _available(e.reason), e.distribution or "", _why(e.reason, ", ".join(e.algorithms)))
        for e in found
    ]
    _print(("engine", "available", "distribution", "algorithms"), rows, "engines")


@click.command()
@click.argument("name", required=False)
@output_options
def algorithms(name: str | None, as_json: bool) -> None:
    """List the algorithms and whether each can run here; or tell what the algorithm NAME takes.

    A star marks the default of an engine.
    """
    if name is not None:
        print_algorithm(registry.get_algorithm_info(name), as_json=as_json)
        return
    found = [registry.get_algorithm_info(each) for each in registry.list_algorithms()]
    if as_json:
        print_json([algorithm.as_dict() for algorithm in found])
        return
    rows = [
        (
            f"{a.name}{' *' * a.default}",
            a.engine,
            _available(a.reason),
            _why(a.reason, _described(a, a.description)),
        )
        for a in found
    ]
    _print(("algorithm (* default)", "engine", "available", "description"), rows, "algorithms")


@click.command()
@click.argument("name", required=False)
@output_options
def parts(name: str | None, as_json: bool) -> None:
    """List the rules and the policies that algorithms compose by name; or tell what NAME takes."""
    if name is not None:
        print_parts(_parts_called(name), as_json=as_json)
        return
    found = [registry.get_rule_info(each) for each in registry.list_rules()]
    found += [registry.get_policy_info(each) for each in registry.list_policies()]
    if as_json:
        print_json([part.as_dict() for part in found])
        return
    rows = [(p.name, p.kind, _available(p.reason), _why(p.reason, _described(p, p.summary))) for p in found]
    _print(("part", "kind", "available", "description"), rows, "parts")


def _parts_called(name: str) -> list[PartInfo]:
    """The rule and the policy of this name, or one of them. Raises ``UnknownPart`` where there is neither."""
    found, missing = list[PartInfo](), list[UnknownPart]()
    for get in (registry.get_rule_info, registry.get_policy_info):
        try:
            found.append(get(name))
        except UnknownPart as exc:
            missing.append(exc)
    if not found:
        known = {kind for kind, names in published().parts.items() if name in names}  # of some wheel
        raise max(missing, key=lambda each: (each.kind in known, bool(each.candidates)))
    return found


@click.command()
@click.argument("model")
@click.option("--engine", metavar="NAME", help="Ask whether this engine takes it.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id.")
@trust_option("Ask as if the code that comes with the model were trusted; it is not run.")
@output_options
def detect(
    model: str, engine: str | None, revision: str | None, trust_remote_code: bool, as_json: bool
) -> None:
    """Say which engine takes MODEL, a folder, a hub id or a wheel that holds one. Only its config.json is
    read, and the tokenizer's files where the model's own code is trusted."""
    found = detect_model(
        model,
        engine=engine,
        revision=revision,
        check=not trust_remote_code,
        trust_remote_code=trust_remote_code,
    )
    if as_json:
        print_json(found.as_dict())
    if found.refusal is not None:
        raise found.refusal
    if not as_json:
        _print_detection(found)


def _load_time(plugin: PluginStatus) -> str:
    return "" if plugin.load_ms is None else f"{plugin.load_ms} ms"


def _available(reason: str | None) -> str:
    return "yes" if reason is None else "no"


def _why(reason: str | None, otherwise: str) -> str:
    """What the last column says: why something cannot run here, before what there is to say of it."""
    return otherwise if reason is None else f"{reason} ({otherwise})" if otherwise else reason


def _described(info: AlgorithmInfo | PartInfo, summary: str) -> str:
    return f"{summary} (also {', '.join(info.aliases)})" if info.aliases else summary


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> None:
    """The table of what there is, whose last column wraps; or the line that says how to get some."""
    if rows:
        *names, last = headings
        print_table([*(Column(heading=each) for each in names), Column(heading=last, wraps=True)], rows)
        return
    told = f"no {what} are installed; pip install {published().recommended}"
    print_line(told if what == "plugins" else f"{told}, and see llada plugins")


def _print_detection(found: Detection) -> None:
    print_line(found.engine or "")
    others = [each.engine for each in found.candidates if each.installed and each.engine != found.engine]
    also = f"; {', '.join(others)} would take it too" if others else ""
    note(f"model type {found.model_type}{also}")
    chosen = next((each.priority for each in found.candidates if each.engine == found.engine), 0)
    for each in found.candidates:
        if not each.available and each.priority > chosen:
            note(f"{each.engine} would be preferred: {each.reason}")
        if not each.installed and each.summary:
            note(f"{each.engine}: {each.summary}")
