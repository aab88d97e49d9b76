"""Which engine takes a model, told from its ``config.json`` alone: the model's own code is never run.

In this order: the engine that the caller names, the one that LLADA_ENGINE names, the one that a plugin's
``llada_detect_engine`` names, and of the engines whose ``model_types`` or ``architectures`` match exactly,
the one of highest priority that can run here. Paths and hub ids say nothing: only the config does.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llada_core import known
from llada_core.environment import read_environment
from llada_core.errors import (
    EngineUnavailable,
    IncompatibleEngine,
    LladaError,
    UnknownEngine,
    UnsupportedModel,
)
from llada_core.hub import read_config
from llada_core.info import EngineInfo
from llada_core.registry import shared
from llada_core.state import Registry

__all__ = ["Candidate", "Detection", "EngineSkipped", "detect", "detect_engine"]


class EngineSkipped(UserWarning):
    """A better engine than the one that was chosen is installed and cannot run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine that takes the model. ``installed`` is False for one that is only known to exist; ``reason``
    says why it cannot run here."""

    engine: str
    available: bool
    reason: str | None
    priority: int
    distribution: str | None
    installed: bool

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "engine": self.engine,
            "available": self.available,
            "reason": self.reason,
            "priority": self.priority,
            "distribution": self.distribution,
            "installed": self.installed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the config says and which engine follows from it, with all ``candidates``, best first.

    ``engine`` is None where none can run the model here; ``reason`` then says why, ending with the remedy.
    """

    path: str
    model_type: str | None
    architectures: tuple[str, ...]
    engine: str | None
    candidates: tuple[Candidate, ...]
    reason: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "path": self.path,
            "model_type": self.model_type,
            "architectures": list(self.architectures),
            "engine": self.engine,
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            "reason": self.reason,
        }


def detect(
    model_path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    revision: str | None = None,
    check: bool = True,
) -> Detection:
    """What is known about the model in a folder or under a hub id, and the engine for it, if any.

    An engine that is named (``engine`` or LLADA_ENGINE) must take the model, unless ``check`` is False, and
    is not asked whether it can run here. Raises ``ModelNotFound``, ``UnknownEngine`` and
    ``IncompatibleEngine``; warns with ``EngineSkipped``, once, where a better engine cannot run.
    """
    return _examine(os.fspath(model_path), engine, revision, check)[0]


def detect_engine(
    model_path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    revision: str | None = None,
    check: bool = True,
) -> str:
    """The name of the engine for a model, chosen as ``detect`` does.

    Raises ``UnsupportedModel`` where no engine takes it and ``EngineUnavailable`` where none of those that
    do can run here, besides what ``detect`` raises.
    """
    detection, refusal = _examine(os.fspath(model_path), engine, revision, check)
    if refusal is not None:
        raise refusal
    assert detection.engine is not None
    return detection.engine


def _examine(
    path: str, engine: str | None, revision: str | None, check: bool
) -> tuple[Detection, LladaError | None]:
    config = read_config(path, revision=revision)
    registry = shared()
    installed = _installed_candidates(registry, config)
    candidates = installed + _known_candidates(registry, config)
    named = _named_engine(registry, engine)
    refusal: LladaError | None = None
    if named is None:
        chosen = next((c.engine for c in installed if c.available), None)
        refusal = None if chosen else _refusal(registry, path, config, candidates)
        _warn_of_skipped(registry, path, installed, chosen)
    else:
        chosen = named.name
        if check and not _may_take(named, installed):
            raise _incompatible(path, config, chosen, candidates)
    model_type = config.get("model_type")
    detection = Detection(
        path=path,
        model_type=model_type if isinstance(model_type, str) else None,
        architectures=known.architectures_of(config),
        engine=chosen,
        candidates=candidates,
        reason=None if refusal is None else str(refusal),
    )
    return detection, refusal


def _named_engine(registry: Registry, engine: str | None) -> EngineInfo | None:
    if engine is not None:
        return registry.engine(engine)
    preferred = read_environment().engine
    try:
        return None if preferred is None else registry.engine(preferred)
    except UnknownEngine as exc:
        raise UnknownEngine(f"LLADA_ENGINE: {exc}", name=exc.name, candidates=exc.candidates) from exc


def _installed_candidates(registry: Registry, config: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """The installed engines that take the model: a hook's choice, then exact matches by priority."""
    hooked = registry.detect_by_hook(config)
    engines = [registry.engine(name) for name in registry.engines()]
    fitting = [info for info in engines if info.name == hooked or _matches(info, config)]
    fitting.sort(key=lambda info: (info.name != hooked, -info.priority, info.name))
    return tuple(
        Candidate(
            engine=info.name,
            available=info.available,
            reason=info.reason,
            priority=info.priority,
            distribution=info.distribution,
            installed=True,
        )
        for info in fitting
    )


def _known_candidates(registry: Registry, config: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """The engines that would take the model and are not installed."""
    return tuple(
        Candidate(
            engine=wheel.engine,
            available=False,
            reason=known.advice(wheel.engine),
            priority=wheel.priority,
            distribution=wheel.distribution,
            installed=False,
        )
        for wheel in known.wheels_for(config)
        if wheel.engine not in registry.engines()
    )


def _matches(info: EngineInfo, config: Mapping[str, Any]) -> bool:
    architectures = known.architectures_of(config)
    return config.get("model_type") in info.spec.model_types or any(
        architecture in info.spec.architectures for architecture in architectures
    )


def _may_take(info: EngineInfo, installed: tuple[Candidate, ...]) -> bool:
    """Whether the engine is a candidate; one that declares no models is taken at its user's word."""
    declares = info.spec.model_types or info.spec.architectures
    return not declares or info.name in [candidate.engine for candidate in installed]


def _warn_of_skipped(
    registry: Registry, path: str, installed: tuple[Candidate, ...], chosen: str | None
) -> None:
    for candidate in installed:
        if chosen is None or candidate.engine == chosen:
            return
        if registry.tell_once((EngineSkipped, candidate.engine, chosen)):
            message = (
                f"{path} is given to {chosen}, because {candidate.engine} cannot run here: {candidate.reason}"
            )
            warnings.warn(message, EngineSkipped, stacklevel=4)


def _incompatible(
    path: str, config: Mapping[str, Any], engine: str, candidates: tuple[Candidate, ...]
) -> IncompatibleEngine:
    fitting = [candidate.engine for candidate in candidates if candidate.installed]
    wheels = [f"pip install {candidate.distribution}" for candidate in candidates if not candidate.installed]
    remedy = f"choose {' or '.join(fitting)}" if fitting else " or ".join(wheels) or "choose another model"
    message = f"the engine {engine} does not take {path} ({_describe(config)}); {remedy}"
    return IncompatibleEngine(message, path=path, engine=engine, candidates=fitting)


def _refusal(
    registry: Registry, path: str, config: Mapping[str, Any], candidates: tuple[Candidate, ...]
) -> LladaError:
    if candidates and candidates[0].installed:
        best = candidates[0]
        message = f"{best.engine} takes {path}, and cannot run here: {best.reason}"
        return EngineUnavailable(message, name=best.engine, reason=best.reason or "")
    names = [candidate.distribution or candidate.engine for candidate in candidates]
    kind = known.kind_of_stranger(config)
    if kind is not None:
        said = f"{path} is {kind} ({_describe(config)}); {_installed_take(registry)}"
    elif names:
        said = f"no installed engine takes {path} ({_describe(config)}); pip install {' or '.join(names)}"
    else:
        said = f"no known engine takes {path} ({_describe(config)}); {_installed_take(registry)}"
    model_type = config.get("model_type")
    return UnsupportedModel(
        said, path=path, model_type=str(model_type) if model_type else None, candidates=names
    )


def _installed_take(registry: Registry) -> str:
    """What the installed engines take, as advice."""
    specs = [registry.engine(name).spec for name in registry.engines()]
    takes = [f"{spec.name} takes {', '.join((*spec.model_types, *spec.architectures))}" for spec in specs]
    return registry.why_empty() or f"choose a model of an installed engine: {'; '.join(takes)}"


def _describe(config: Mapping[str, Any]) -> str:
    architectures = known.architectures_of(config)
    model_type = config.get("model_type")
    said = f"model_type {model_type}" if model_type else "without model_type"
    return f"{said}, {', '.join(architectures)}" if architectures else said
