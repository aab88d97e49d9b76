"""How algorithms become objects: those of the specs, and those that a program registers at run time."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from llada_core.errors import InvalidSpec, UsageError
from llada_core.faults import fault_of, one_line, remedy
from llada_core.generation.signature import why_not_called
from llada_core.imports import load_target
from llada_core.plugins.info import AlgorithmInfo
from llada_core.plugins.specs import AlgorithmSpec

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["factory_of", "make", "own_reason", "owner_of", "refusal_of", "spec_of"]

_BASE = "llada_core.generation.algorithm:GenerationAlgorithm"
_STAND_IN = "llada_core.generation.unavailable:UnavailableAlgorithm"


def make(info: AlgorithmInfo, factory: Callable[[], Any] | None = None) -> GenerationAlgorithm:
    """A fresh object of the algorithm, bound to ``info``, from ``factory`` or from the spec's target.

    Its ``info`` says what the object says of itself where the spec does not. Where it cannot run, says so
    itself or cannot be made, the object is a stand-in that gives the reason and refuses to work.
    """
    if info.reason is not None:
        return _stand_in(info, info.reason, factory and (lambda: factory().network_class()))
    target = info.spec.target
    try:
        made = (factory or load_target(target))()
        if not isinstance(made, load_target(_BASE)):
            return _stand_in(info, f"{target} is not a GenerationAlgorithm; {remedy(info.distribution)}")
        made._bind(replace(info, streams=made.yields_steps()))
        made.info = replace(made.info, parameters=tuple(made.parameters))
    except BaseException as exc:  # a plugin may raise anything
        return _stand_in(
            info, f"making {target} failed: {one_line(fault_of(exc))}; {remedy(info.distribution)}"
        )
    reason = refusal_of(made) or _why_not_called(made)
    return made if reason is None else _stand_in(info, reason, networks=made.network_class)


def own_reason(target: str, factory: Callable[[], Any]) -> str | None:
    """Why an algorithm that the program registered says that it cannot run; None where it does not say so.

    Only one whose class has an ``is_available`` or ``unavailable_reason`` of its own is made to be asked.
    """
    base = load_target(_BASE)
    if isinstance(factory, type) and not _has_its_own(factory, base):
        return None
    try:
        made = factory()
    except BaseException as exc:  # of somebody else, and may raise anything
        return f"making {target} failed: {one_line(fault_of(exc))}; {remedy(None)}"
    return refusal_of(made) if isinstance(made, base) else None


def refusal_of(algorithm: GenerationAlgorithm) -> str | None:
    """Why an algorithm's object says that it cannot run here, or None; its class may have a say in it."""
    try:
        return algorithm.unavailable_reason
    except BaseException as exc:  # of somebody else, and may raise anything
        distribution = None if algorithm.info is None else algorithm.info.distribution
        return f"its is_available failed: {one_line(fault_of(exc))}; {remedy(distribution)}"


def _has_its_own(kind: type, base: type) -> bool:
    """Whether a class says itself whether it is available; what is no algorithm does not."""
    names = ("is_available", "unavailable_reason")
    return issubclass(kind, base) and any(getattr(kind, name) is not getattr(base, name) for name in names)


def _stand_in(
    info: AlgorithmInfo, reason: str, networks: Callable[[], Any] | None = None
) -> GenerationAlgorithm:
    unable = replace(info, available=False, reason=reason)
    return cast("GenerationAlgorithm", load_target(_STAND_IN)(unable, networks))


def _why_not_called(algorithm: GenerationAlgorithm) -> str | None:
    """Why no call of its ``generate`` could succeed, ending with the remedy; None for one that is not called,
    or whose parameters are known only where it is asked."""
    kind = type(algorithm)
    if not algorithm.calls_generate():
        return None
    try:
        names = tuple(algorithm.get_required_args())
    except BaseException as exc:  # its own fault, which every call tells
        fault_of(exc)
        return None
    return why_not_called(algorithm.generate, names, owner=kind.__name__)


def factory_of(algorithm: Any) -> Callable[[], Any]:
    """What makes a fresh object of ``algorithm``, a class or an instance of ``GenerationAlgorithm``.

    A class is called without arguments. An instance is a prototype: each object is a shallow copy of it
    that has no model loaded. Raises ``UsageError`` for anything else and for a class that is still
    abstract.
    """
    cls = _class_of(algorithm)
    base = load_target(_BASE)
    if not issubclass(cls, base):
        raise UsageError(
            f"{cls.__name__} is not a GenerationAlgorithm; register a subclass or an instance of one"
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise UsageError(f"{cls.__name__} is still abstract; implement {missing}")
    return cls if isinstance(algorithm, type) else lambda: _unloaded_copy(algorithm)


def spec_of(algorithm: Any, aliases: Iterable[str], *, parts: bool = False) -> AlgorithmSpec:
    """The spec that a class or instance of ``GenerationAlgorithm`` states in its attributes.

    Of a class, an object is asked, as its ``__init__`` may set them. One that names no engine is one of its
    own name. ``aliases`` are added to the algorithm's own; ``parts`` is that of the spec. Raises
    ``InvalidSpec`` where a name is missing or malformed, ``parts`` no bool, or its ``generate`` cannot be
    called with its parameters, and ``UsageError`` where ``aliases`` are no names or no object can be made.
    """
    _check_names(aliases)
    stated = _stating(algorithm)
    _check_names(stated.aliases)
    cls = type(stated)
    problem = _why_not_called(stated)
    if problem is not None:
        raise InvalidSpec(problem)
    return AlgorithmSpec(
        name=stated.name,
        engine=stated.engine or stated.name,
        target=f"{cls.__module__}:{cls.__name__}",
        summary=stated.description or (inspect.getdoc(cls) or "").partition("\n")[0],
        aliases=tuple(dict.fromkeys((*stated.aliases, *aliases))),
        parameters=tuple(stated.parameters),
        streams=stated.yields_steps(),
        parts=parts,
    )


def owner_of(algorithm: Any) -> str:
    """Who stands behind the names of an algorithm that a program registers: its class, by where it was
    written. One that is written again, as in a notebook's cell, is the same."""
    cls = _class_of(algorithm)
    return f"{cls.__module__}.{cls.__qualname__}"


def _check_names(aliases: object) -> None:
    """Refuse what is no list of aliases, such as a text or a dict. Raises ``UsageError``."""
    if isinstance(aliases, str | bytes | Mapping) or not isinstance(aliases, Iterable):
        raise UsageError(f"aliases={aliases!r} is no list of names; give one, such as aliases=['mine']")


def _stating(algorithm: Any) -> Any:
    if not isinstance(algorithm, type):
        return algorithm
    try:
        return algorithm()
    except BaseException as exc:
        raise UsageError(
            f"{algorithm.__name__}() failed: {one_line(fault_of(exc))}; "
            "register an instance, or let __init__ need nothing"
        ) from exc


def _class_of(algorithm: Any) -> type:
    return algorithm if isinstance(algorithm, type) else type(algorithm)


def _unloaded_copy(prototype: Any) -> Any:
    fresh = copy.copy(prototype)
    fresh.model = fresh.tokenizer = None
    return fresh
