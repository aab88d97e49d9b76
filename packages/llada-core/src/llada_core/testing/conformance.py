"""``check_algorithm``: the beginnings of a conformance kit for one algorithm.

What an algorithm promises beyond `GenerationAlgorithm`, its own ``conformance_checks`` know.
"""

from __future__ import annotations

import functools
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llada_core import registry
from llada_core.errors import ParameterError, UsageError
from llada_core.faults import fault_of, one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.imports import LazyModule
from llada_core.loading import embedded_model
from llada_core.testing.checks import Check, run_checks

if TYPE_CHECKING:
    from llada_core.testing import decoding
else:
    decoding = LazyModule("llada_core.testing.decoding")  # needs torch

__all__ = ["check_algorithm"]


def check_algorithm(
    algorithm: str | GenerationAlgorithm | type[GenerationAlgorithm],
    *,
    model: Any = None,
    prompts: Sequence[Sequence[int]] | None = None,
    **params: Any,
) -> tuple[str, ...]:
    """What was checked, where all of it holds.

    Args:
        algorithm: the name of a registered one, an object, or a class, of which one is made.
        model: a loaded network, or the folder or hub id of a checkpoint. None is the model that the object
            has loaded, or else the embedded checkpoint (llada-tiny). Rows are compared exactly: take float32
            on a CPU.
        prompts: token ids, some of different lengths; None makes three up.
        params: of ``generate``; where ``gen_length`` is taken and not given, it is 40.

    Raises:
        ConformanceError: something does not hold. All failures are in it.
        UsageError: this is no algorithm, or no object of the class can be made.
    """
    found = _object(algorithm)
    name = found.name or type(found).__name__
    checks: list[Check] = [*_facts(found, registered=isinstance(algorithm, str)), *_parameters(found)]
    if found.is_available():
        checks += _listed("it says how to check it", found.conformance_checks)
        checks += _listed("it generates", lambda: _decoding(found, model, prompts, params))
    return run_checks(name, checks)


def _object(algorithm: object) -> GenerationAlgorithm:
    if isinstance(algorithm, str):
        return registry.get_algorithm(algorithm)
    made = algorithm
    if isinstance(algorithm, type):
        try:
            made = algorithm()
        except Exception as exc:
            raise UsageError(f"{algorithm.__name__}() failed: {one_line(exc)}; give an object of it") from exc
    if not isinstance(made, GenerationAlgorithm):
        raise UsageError(
            f"{reprlib.repr(algorithm)} is no algorithm; give a name, or a GenerationAlgorithm or its class"
        )
    return made


def _facts(algorithm: GenerationAlgorithm, *, registered: bool) -> Iterator[Check]:
    yield "it can run here", lambda: _can_run(algorithm)
    yield "it has a name", lambda: _is_named(algorithm)
    if registered:
        yield "the registered facts are the object's", lambda: _agrees_with_registry(algorithm)
        yield "each name and alias gives a fresh object of it", lambda: _is_fresh(algorithm)


def _can_run(algorithm: GenerationAlgorithm) -> None:
    assert algorithm.is_available(), algorithm.unavailable_reason


def _is_named(algorithm: GenerationAlgorithm) -> None:
    assert algorithm.name, "its name is empty; register it, or set the class attribute name"


def _agrees_with_registry(algorithm: GenerationAlgorithm) -> None:
    info = registry.get_algorithm_info(algorithm.name)
    for field in ("name", "engine", "description", "aliases", "parameters"):
        told, has = getattr(info, field), getattr(algorithm, field)
        advice = (
            "declare in the spec what it takes"
            if field == "parameters" and not told
            else "do not set it there"
        )
        assert told == has, f"{field} is {told!r} in the spec and {has!r} in the object; {advice}"
    if algorithm.is_available():
        yields = algorithm.yields_steps()
        runs = "runs by steps" if yields else "is one call, as its generate or answers is its own"
        assert info.streams is yields, (
            f"its spec says streams={info.streams}, and the object {runs}; write streams={yields}"
        )


def _is_fresh(algorithm: GenerationAlgorithm) -> None:
    for name in (algorithm.name, *algorithm.aliases):
        other = registry.get_algorithm(name)
        assert other.name == algorithm.name, f"{name} gives {other.name}; take another alias"
        assert other is not algorithm, f"{name} gives one object twice; make a new one at each call"


def _parameters(algorithm: GenerationAlgorithm) -> Iterator[Check]:
    yield "its parameters have values where none is given", lambda: _has_values(algorithm)
    yield "each alias stands for its parameter", lambda: _takes_aliases(algorithm)
    yield "an unknown parameter is refused", lambda: _refuses_unknown(algorithm)


def _has_values(algorithm: GenerationAlgorithm) -> None:
    names, values = {each.name for each in algorithm.parameters}, algorithm.get_required_args()
    silent = {each.name for each in algorithm.parameters if each.default in each.neutral}
    # A generate of its own may be left in peace with what asks for nothing.
    given = values.keys() if algorithm.yields_steps() else values.keys() | silent
    assert given == names, (
        f"get_required_args gives {sorted(values)} and its parameters are {sorted(names)}; "
        "declare every parameter, and let validate_args return them all"
    )


def _takes_aliases(algorithm: GenerationAlgorithm) -> None:
    for parameter in algorithm.parameters:
        values = algorithm.validate_args(**{parameter.name: parameter.default})
        for alias in parameter.aliases:
            assert algorithm.validate_args(**{alias: parameter.default}) == values, (
                f"{alias}={parameter.default!r} is not {parameter.name}={parameter.default!r}; "
                "let resolve make names of aliases first"
            )


def _refuses_unknown(algorithm: GenerationAlgorithm) -> None:
    try:
        algorithm.validate_args(no_such_parameter=1)
    except ParameterError:
        return
    raise AssertionError(
        "validate_args takes no_such_parameter; let it raise ParameterError, as resolve does"
    )


def _listed(name: str, call: Callable[[], Iterable[Check]]) -> list[Check]:
    """The checks that ``call`` gives; where it raises, one called ``name`` that says so."""
    try:
        return list(call())
    except BaseException as exc:  # an algorithm may raise anything
        return [(name, functools.partial(_raise, fault_of(exc)))]


def _raise(exc: Exception) -> None:
    raise exc


def _decoding(
    algorithm: GenerationAlgorithm,
    model: Any,
    prompts: Sequence[Sequence[int]] | None,
    params: Mapping[str, Any],
) -> Iterable[Check]:
    """The checks of ``generate``."""
    try:
        network = _network(algorithm, model)
    except BaseException as exc:  # an algorithm may raise anything
        advice = "give model=, a network or the folder of a checkpoint"
        raise AssertionError(f"{one_line(fault_of(exc))}; {advice}") from exc
    return decoding.checks(algorithm, network, prompts, params)


def _network(algorithm: GenerationAlgorithm, model: Any) -> Any:
    if model is None and algorithm.model is not None:
        return algorithm.model
    if model is None or isinstance(model, str | os.PathLike):
        return algorithm.load_model_from_hf(embedded_model() if model is None else model)
    return model
