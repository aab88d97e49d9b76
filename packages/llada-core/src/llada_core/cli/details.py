"""All about one algorithm or one engine, as people read it."""

from __future__ import annotations

from collections.abc import Iterator

from llada_core.cli.output import as_typed, availability, print_json, print_line, print_table
from llada_core.cli.tables import Column
from llada_core.parameters import Parameter
from llada_core.plugins.info import AlgorithmInfo, EngineInfo

__all__ = ["print_algorithm", "print_engine"]

_FACTS = (Column(), Column(wraps=True))


def print_algorithm(info: AlgorithmInfo, *, as_json: bool) -> None:
    """An algorithm and its parameters: range, default, other names and meaning."""
    if as_json:
        print_json(info.as_dict())
        return
    print_line(info.name)
    facts = {
        "summary": info.description,
        "available": availability(info.reason),
        "engine": info.engine + (", whose default it is" if info.default else ""),
        "also called": ", ".join(info.aliases),
        "distribution": info.distribution or "none: registered by this program",
        "streams": "" if info.streams else "no: its answer comes all at once",
    }
    print_table(_FACTS, [fact for fact in facts.items() if fact[1]])
    print_line("" if info.parameters else "It takes no parameters.")
    if info.parameters:
        print_table(_FACTS, [row for parameter in info.parameters for row in _rows(parameter)])


def _rows(parameter: Parameter) -> Iterator[tuple[str, str]]:
    yield parameter.name, f"{parameter.expected}; default {as_typed(parameter.default)}"
    if parameter.default_unless:
        yield "", f"no default where {' or '.join(parameter.default_unless)} is given"
    if parameter.aliases:
        yield "", f"also called {', '.join(parameter.aliases)}"
    if parameter.summary:
        yield "", parameter.summary


def print_engine(info: EngineInfo, *, as_json: bool) -> None:
    """An engine: what it takes, what it needs, and the algorithms that run on it."""
    spec = info.spec
    if as_json:
        models = {"model_types": list(spec.model_types), "architectures": list(spec.architectures)}
        print_json({**info.as_dict(), **models, "requires": list(spec.requires)})
        return
    print_line(info.name)
    facts = {
        "summary": info.summary,
        "available": availability(info.reason),
        "algorithms": ", ".join(info.algorithms),
        "default": info.default_algorithm,
        "also called": ", ".join(info.aliases),
        "model types": ", ".join(spec.model_types),
        "architectures": ", ".join(spec.architectures),
        "requires": ", ".join(spec.requires),
        "priority": str(info.priority),
        "distribution": info.distribution or "",
    }
    print_table(_FACTS, [fact for fact in facts.items() if fact[1]])
