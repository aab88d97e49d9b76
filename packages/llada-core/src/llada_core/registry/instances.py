"""How algorithms become objects: those of the specs, and those that a program registers at run time."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from llada_core.errors import UsageError, one_line
from llada_core.imports import load_target
from llada_core.plugins.info import AlgorithmInfo
from llada_core.plugins.specs import AlgorithmSpec

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["factory_of", "make", "spec_of"]

_BASE = "llada_core.generation.algorithm:GenerationAlgorithm"
_STAND_IN = "llada_core.generation.unavailable:UnavailableAlgorithm"


def make(info: AlgorithmInfo, factory: Callable[[], Any] | None = None) -> GenerationAlgorithm:
    """A fresh object of the algorithm, bound to ``info``, from ``factory`` or from the spec's target.

    Where it cannot run or cannot be made, the object is a stand-in that gives the reason and refuses to work.
    """
    if info.reason is not None:
        return _stand_in(info, info.reason)
    target = info.spec.target
    try:
        made = (factory or load_target(target))()
    except (Exception, SystemExit) as exc:
        return _stand_in(info, f"making {target} failed: {one_line(exc)}; {_remedy(info)}")
    if not isinstance(made, load_target(_BASE)):
        return _stand_in(info, f"{target} is not a GenerationAlgorithm; {_remedy(info)}")
    made._bind(info)
    return cast("GenerationAlgorithm", made)


def _stand_in(info: AlgorithmInfo, reason: str) -> GenerationAlgorithm:
    unable = replace(info, available=False, reason=reason)
    return cast("GenerationAlgorithm", load_target(_STAND_IN)(unable))


def _remedy(info: AlgorithmInfo) -> str:
    return f"mend that, or upgrade {info.distribution}" if info.distribution else "mend that"


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


def spec_of(algorithm: Any, aliases: Iterable[str]) -> AlgorithmSpec:
    """The spec that a class or instance of ``GenerationAlgorithm`` states in its attributes.

    ``aliases`` are added to the algorithm's own. Raises ``InvalidSpec`` where a name is missing or malformed.
    """
    cls = _class_of(algorithm)
    return AlgorithmSpec(
        name=algorithm.name,
        engine=algorithm.engine,
        target=f"{cls.__module__}:{cls.__name__}",
        summary=algorithm.description or (inspect.getdoc(cls) or "").partition("\n")[0],
        aliases=tuple(dict.fromkeys((*algorithm.aliases, *aliases))),
        parameters=tuple(algorithm.parameters),
        streams=callable(getattr(cls, "open_loop", None)),
    )


def _class_of(algorithm: Any) -> type:
    return algorithm if isinstance(algorithm, type) else type(algorithm)


def _unloaded_copy(prototype: Any) -> Any:
    fresh = copy.copy(prototype)
    fresh.model = fresh.tokenizer = None
    return fresh
