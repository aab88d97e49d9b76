"""All about one algorithm, part or engine, as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llada_core.cli.output import as_typed, availability, print_json, print_line, print_table
from llada_core.cli.tables import Column
from llada_core.parameters import Parameter
from llada_core.plugins.info import AlgorithmInfo, EngineInfo, PartInfo

__all__ = ["print_algorithm", "print_engine", "print_parts"]

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
    _print_parameters(info.parameters)


def print_parts(found: Iterable[PartInfo], *, as_json: bool) -> None:
    """A rule, a policy or both, of one name, each with its parameters."""
    infos = list(found)
    if as_json:
        print_json([info.as_dict() for info in infos])
        return
    for number, info in enumerate(infos):
        print_line(f"{chr(10) * bool(number)}{info.name}")
        facts = {
            "kind": info.kind,
            "summary": info.summary,
            "available": availability(info.reason),
            "also called": ", ".join(info.aliases),
            "distribution": info.distribution or "",
        }
        print_table(_FACTS, [fact for fact in facts.items() if fact[1]])
        _print_parameters(info.parameters)


def _print_parameters(parameters: tuple[Parameter, ...]) -> None:
    print_line("" if parameters else "It takes no parameters.")
    if parameters:
        print_table(_FACTS, [row for parameter in parameters for row in _rows(parameter)])


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
