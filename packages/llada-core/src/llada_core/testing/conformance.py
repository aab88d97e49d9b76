"""The checks of one algorithm, all together. What it promises beyond `GenerationAlgorithm`, its own
``conformance_checks`` know."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llada_core.faults import fault_of, one_line
from llada_core.generation.signature import Undeclared
from llada_core.imports import LazyModule
from llada_core.parameters import called
from llada_core.testing.checks import Check, NotRun, run_checks
from llada_core.testing.declared import fact_checks, parameter_checks
from llada_core.testing.effects import effect_checks
from llada_core.testing.forwards import counted, most_forwards
from llada_core.testing.samples import Setting
from llada_core.testing.subject import Given, Once, Subject

if TYPE_CHECKING:
    from llada_core.testing import answered, decoding, runs, sharing
else:
    answered = LazyModule("llada_core.testing.answered")  # they need torch
    decoding = LazyModule("llada_core.testing.decoding")
    runs = LazyModule("llada_core.testing.runs")
    sharing = LazyModule("llada_core.testing.sharing")

__all__ = ["algorithm_checks", "check_algorithm"]

_BASE: Setting = {"gen_length": 12, "block_length": 4, "seed": 3}
_MOST_RUNS = 150


def check_algorithm(
    algorithm: Given,
    *,
    model: Any = None,
    prompts: Sequence[Sequence[int]] | None = None,
    trust_remote_code: bool = False,
    **params: Any,
) -> tuple[str, ...]:
    """What was checked, where all of it holds; what cannot be told here is left out.

    Args:
        algorithm: the name of a registered one, an object, or a class, of which one is made.
        model: a loaded network, or the folder, hub id or wheel of a checkpoint. None is the model that the
            object has loaded, or else the embedded checkpoint (llada-tiny). Rows are compared exactly: take
            float32 on a CPU.
        prompts: token ids, some of different lengths; None makes three up.
        trust_remote_code: run the code that comes with the checkpoint.
        params: of ``generate``; where ``gen_length`` is taken and not given, it is 40, and a ``seed``
            is given where one is taken.

    Raises:
        ConformanceError: something does not hold. All failures are in it.
        UsageError: this is no algorithm, or no object of the class can be made.
    """
    subject = Subject(
        algorithm, model=model, prompts=prompts, params=params, trust_remote_code=trust_remote_code
    )
    return run_checks(subject.name, algorithm_checks(subject))


def algorithm_checks(subject: Subject) -> Iterator[Check]:
    """The checks of an algorithm: what it says of itself, its own, and what it decodes.

    Of two of one name the algorithm's own counts.
    """
    algorithm = subject.algorithm
    yield from fact_checks(algorithm, registered=subject.registered)
    yield from parameter_checks(algorithm)
    if algorithm.is_available():
        checks = dict(_on_its_model(subject))
        own = {
            name: Once(functools.partial(_loaded_for, subject, call), of=name)
            for name, call in _listed("it says how to check it", algorithm.conformance_checks)
        }
        subject.own = tuple(own.values())
        yield from ((name, once.check) for name, once in own.items())
        yield from ((name, call) for name, call in checks.items() if name not in own)


def _loaded_for(subject: Subject, call: Callable[[], object]) -> None:
    """Run a check of its own, for which its model is loaded where there is one."""
    algorithm = subject.algorithm
    before = algorithm.model
    with contextlib.suppress(NotRun):
        algorithm.model = subject.loading.get()
    try:
        call()
    finally:
        algorithm.model = before


def _on_its_model(subject: Subject) -> Iterator[Check]:
    yield from _effects(subject)
    try:
        generation, shared = decoding.generation_checks(subject), sharing.sharing_checks(subject)
    except ImportError as exc:  # of torch, without which nothing generates
        reason = f"torch cannot be imported ({one_line(exc)}); pip install torch"
        yield "it generates", functools.partial(_raise, NotRun(reason))
    else:
        yield from (*generation, *shared)


def _effects(subject: Subject) -> Iterator[Check]:
    """What parameters do on its model: for an algorithm that does not say how to run it cheaper."""
    algorithm = subject.algorithm
    declared = [each for each in algorithm.parameters if each.name not in algorithm.chat_options]
    base = {name: value for name, value in _BASE.items() if called(name, declared) is not None}
    seen = _Seen()
    checks = effect_checks(
        declared,
        functools.partial(_takes, subject),
        [functools.partial(_run, subject, seen)],
        base,
        most=_MOST_RUNS,
        beside=algorithm.tried_beside,
        untold=seen.untold,
        again=functools.partial(_run, subject, seen, chance=1),
    )
    for name, check in checks:
        yield name, functools.partial(_judged, subject, check)


def _judged(subject: Subject, check: Callable[[], object]) -> None:
    if isinstance(inspect.getattr_static(subject.algorithm, "parameters"), Undeclared):
        raise NotRun("it declares no parameters: those of its generate are taken for it; declare them")
    subject.repeating.get()
    check()


def _takes(subject: Subject, setting: Setting) -> None:
    subject.algorithm.validate_args(**setting)


class _Seen:
    """Whether any answer had an end."""

    def __init__(self) -> None:
        self.an_end = False

    def untold(self, name: str) -> str | None:
        """Why nothing can be said of a parameter that changed nothing."""
        if name == "early_stop" and not self.an_end:
            return "early_stop: no answer had an end token; give a model whose answers end (--model)"
        return None


def _run(subject: Subject, seen: _Seen, setting: Setting, chance: int = 0) -> tuple[Any, ...]:
    """Ids and forwards of each row; under a seed ``chance`` is nothing to them.

    Raises what generating raises, and ``Endless``.
    """
    model, rows, length = subject.model, runs.prompts_of(subject), setting.get("gen_length")
    with counted(model.network, most_forwards(length, rows=len(rows))):
        found = answered.ended(
            subject.algorithm, model, rows, setting, chance=0 if setting.get("seed") is None else chance
        )
    seen.an_end = seen.an_end or any(each.finish_reason == "stop" for each in found)
    return tuple((tuple(each.token_ids), each.nfe) for each in found)


def _listed(name: str, call: Callable[[], Iterable[Check]]) -> list[Check]:
    """The checks that ``call`` gives; where it raises, one called ``name`` that says so."""
    try:
        return list(call())
    except BaseException as exc:  # an algorithm may raise anything
        return [(name, functools.partial(_raise, fault_of(exc)))]


def _raise(exc: Exception) -> None:
    raise exc
