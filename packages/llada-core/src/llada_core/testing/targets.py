"""Checks of what specs name by ``"module:attr"``: it is there, is what it should be, and can be called as it
will be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import click

from llada_core.faults import fault_of, one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.imports import load_target
from llada_core.plugins.requirements import remedy_of
from llada_core.plugins.specs import AlgorithmSpec, CommandSpec, EngineSpec
from llada_core.testing.checks import Check, NotRun
from llada_core.testing.entry import keys_without_torch

__all__ = ["Config", "algorithm_targets", "command_targets", "engine_targets", "imported"]

Config = Callable[[], "Mapping[str, Any] | None"]
"""The config of a model, read when it is asked for; None where there is no model."""

ESTIMATE = (
    "dtype", "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length", "available",
    "columns_that_fit", "rows_that_fit",
)  # fmt: skip
"""The keys of an estimate's ``as_dict()``."""


def engine_targets(specs: Iterable[EngineSpec], config: Config) -> Iterator[Check]:
    """The checks of what engines name; ``config`` gives that of a model of theirs."""
    found = tuple(specs)
    yield "its engine's target is a class that loads models", lambda: _of_each(found, _loads_models)
    yield "its probe says whether the engine runs here", lambda: _asked(found, "probe", _probes)
    yield (
        "its memory estimate is told without torch",
        lambda: _asked(found, "memory", lambda target: _estimates(target, config())),
    )
    yield (
        "its sentence on steps is told",
        lambda: _asked(found, "steps", lambda target: _speaks_of_steps(target, config())),
    )


def algorithm_targets(specs: Iterable[AlgorithmSpec]) -> Check:
    """The check of the classes that algorithms name."""
    found = tuple(specs)
    return "its algorithms' targets are classes of algorithms", lambda: _of_each(found, _is_an_algorithm)


def command_targets(specs: Iterable[CommandSpec]) -> Check:
    """The check of the commands that a plugin brings."""
    found = tuple(specs)
    return "its commands are commands of click", lambda: _of_each(found, _is_a_command)


def _of_each(specs: Iterable[Any], check: Callable[[Any, str], None]) -> None:
    named = list(specs)
    if not named:
        raise NotRun("it brings none")
    for spec in named:
        check(imported(spec.target), spec.target)


def _asked(specs: Iterable[EngineSpec], field: str, check: Callable[[str], None]) -> None:
    targets = [target for spec in specs if (target := getattr(spec, field)) is not None]
    if not targets:
        raise NotRun(f"its spec names no {field}")
    for target in targets:
        check(target)


def imported(target: str) -> Any:
    """What ``target`` names. Raises ``AssertionError`` where it cannot be imported."""
    try:
        return load_target(target)
    except BaseException as exc:  # a module may raise anything
        told = one_line(fault_of(exc))
        remedy = remedy_of(exc, target, "its distribution", otherwise="correct the spec, or mend it")
        raise AssertionError(f"{target} cannot be imported: {told}; {remedy}") from exc


def _loads_models(found: Any, target: str) -> None:
    loads = isinstance(found, type) and (
        issubclass(found, GenerationAlgorithm) or hasattr(found, "from_pretrained")
    )
    assert loads, (
        f"{target} is {_kind(found)}; name a GenerationAlgorithm's class, or one that has from_pretrained"
    )


def _is_an_algorithm(found: Any, target: str) -> None:
    right = isinstance(found, type) and issubclass(found, GenerationAlgorithm)
    assert right, f"{target} is {_kind(found)}; name a class below GenerationAlgorithm"
    missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
    assert not inspect.isabstract(found), f"{target} is still abstract; implement {missing}"


def _is_a_command(found: Any, target: str) -> None:
    right = isinstance(found, click.Command)
    assert right, f"{target} is {_kind(found)}; decorate the function with click.command()"


def _probes(target: str) -> None:
    reason = _called(target)
    told = reason is None or (isinstance(reason, str) and reason.strip())
    assert told, (
        f"{target} returned {reason!r}; return None, or why it cannot run here, ending with the remedy"
    )


def _estimates(target: str, config: Mapping[str, Any] | None) -> None:
    try:
        found = keys_without_torch(target, config)
    except AssertionError as exc:
        raise AssertionError(f"asked for {target} without torch, as llada doctor does: {exc}") from exc
    if config is None:
        assert callable(imported(target)), f"{target} cannot be called; name a function"
        raise NotRun("it can be imported, and there is no model to ask it about; give one (--model)")
    missing = set(ESTIMATE) - found
    assert not missing, (
        f"the estimate of {target} lacks {', '.join(sorted(missing))}; make it with llada_runtime.estimate_of"
    )


def _speaks_of_steps(target: str, config: Mapping[str, Any] | None) -> None:
    if config is None:
        assert callable(imported(target)), f"{target} cannot be called; name a function"
        return
    said = _called(target, MappingProxyType(dict(config)), device="cpu", dtype="float32")
    assert isinstance(said, str), f"{target} returned {said!r}; return a sentence"
    assert said.strip(), f"{target} returned an empty text; return a sentence"


def _called(target: str, *arguments: Any, **keywords: Any) -> Any:
    """What the function that ``target`` names returns."""
    function = imported(target)
    assert callable(function), f"{target} is {_kind(function)}; name a function"
    try:
        return function(*arguments, **keywords)
    except BaseException as exc:  # a plugin's function may raise anything
        told = one_line(fault_of(exc))
        raise AssertionError(f"{target} failed: {told}; mend it") from exc


def _kind(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
