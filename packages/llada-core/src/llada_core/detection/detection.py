"""Which engine takes a model, told from its ``config.json``: the model's own code is never run.

In this order: the engine that the caller names, the one that LLADA_ENGINE names, the one that a plugin's
``llada_detect_engine`` names, and of the engines whose ``model_types`` or ``architectures`` match exactly,
the one of highest priority that can run here. Where no engine knows the model, its own code is trusted and
its mask token can be told (then the tokenizer's files are read too), of the engines that take foreign models
the one of highest priority. Paths and hub ids say nothing: only the config does.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field

from llada_core.checkpoints.config import ModelConfig
from llada_core.checkpoints.hub import read_config
from llada_core.checkpoints.options import LoadOptions
from llada_core.detection import refusals
from llada_core.detection.candidates import (
    Candidate,
    foreign_candidates,
    installed_candidates,
    known_candidates,
)
from llada_core.environment import read_environment
from llada_core.errors import LladaError, UnknownEngine
from llada_core.plugins.info import EngineInfo
from llada_core.registry import shared
from llada_core.registry.registry import Registry

__all__ = [
    "Candidate",
    "Detection",
    "EngineSkipped",
    "detect",
    "detect_config",
    "detect_engine",
    "engine_by_own_code",
    "engine_for",
    "is_named",
]


class EngineSkipped(UserWarning):
    """A better engine than the one that was chosen is installed and cannot run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the config says and which engine follows from it, with all ``candidates``, best first.

    ``engine`` is None where none can run the model here; ``refusal`` is then the error that says why.
    """

    path: str
    model_type: str | None
    architectures: tuple[str, ...]
    engine: str | None
    candidates: tuple[Candidate, ...]
    refusal: LladaError | None = field(default=None, compare=False)

    @property
    def reason(self) -> str | None:
        """Why there is no engine, ending with the remedy; None where there is one."""
        return None if self.refusal is None else str(self.refusal)

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


def detect_engine(
    model_path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    revision: str | None = None,
    check: bool = True,
    trust_remote_code: bool = False,
) -> str:
    """The name of the engine for a model, chosen as ``detect`` does.

    Raises ``UnsupportedModel`` where no engine takes it and ``EngineUnavailable`` where none of those that do
    can run here, besides what ``detect`` raises.
    """
    found = detect(
        model_path, engine=engine, revision=revision, check=check, trust_remote_code=trust_remote_code
    )
    return _chosen(found)


def engine_for(path: str, options: LoadOptions, *, engine: str | None = None) -> EngineInfo:
    """The engine that is to load the model with these options; raises as ``detect_engine`` does.

    One that is named may run a foreign model by the model's own code, where that is trusted.
    """
    config = read_config(path, revision=options.revision)
    trust = options.trust_remote_code
    name = _chosen(detect_config(config, engine=engine, check=not trust, trust_remote_code=trust))
    return shared().engine(name)


def is_named(engine: str | None) -> bool:
    """Whether an engine is named: ``engine``, which a caller gave, or else by LLADA_ENGINE."""
    return engine is not None or read_environment().engine is not None


def engine_by_own_code(config: ModelConfig) -> str | None:
    """The engine that takes models of this kind, and would run this one by the code that it brings, be that
    trusted or not; None where none that can run here would."""
    registry = shared()
    takers = {candidate.engine for candidate in installed_candidates(registry, config)}
    candidates = [each for each in foreign_candidates(registry, config) if each.engine in takers]
    return next((candidate.engine for candidate in candidates if candidate.available), None)


def detect(
    model_path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    revision: str | None = None,
    check: bool = True,
    trust_remote_code: bool = False,
) -> Detection:
    """What is known about the model in a folder, under a hub id or in a wheel, and the engine for it, if any.

    An engine that is named (``engine`` or LLADA_ENGINE) must take the model, unless ``check`` is False and
    the model is not known to be something else, and is not asked whether it can run here. With
    ``trust_remote_code`` a model that no engine knows may be one for its own code. Raises ``ModelNotFound``,
    ``UnknownEngine``, ``IncompatibleEngine`` and ``UsageError``; warns with ``EngineSkipped``, once, where a
    better engine cannot run.
    """
    config = read_config(model_path, revision=revision)
    return detect_config(config, engine=engine, check=check, trust_remote_code=trust_remote_code)


def detect_config(
    config: ModelConfig, *, engine: str | None = None, check: bool = True, trust_remote_code: bool = False
) -> Detection:
    """The same of a model whose config has been read."""
    registry = shared()
    installed = installed_candidates(registry, config)
    candidates = installed + known_candidates(registry, config)
    named = _named_engine(registry, engine)
    if named is not None:
        foreign = not _may_take(named, installed)
        if foreign and (check or config.kind_among(registry.strangers()) is not None):
            raise refusals.incompatible(config, registry, candidates, named.name, by_variable=engine is None)
        return _detection(config, candidates, named.name)
    by_own_code = () if candidates else foreign_candidates(registry, config)
    if trust_remote_code and by_own_code:
        installed = candidates = by_own_code
    chosen = next((candidate.engine for candidate in installed if candidate.available), None)
    if chosen is None:
        refusal = refusals.no_engine(config, registry, candidates, by_own_code)
        return _detection(config, candidates, None, refusal)
    _warn_of_skipped(registry, config.path, installed, chosen)
    return _detection(config, candidates, chosen)


def _chosen(detection: Detection) -> str:
    if detection.refusal is not None:
        raise detection.refusal
    assert detection.engine is not None
    return detection.engine


def _detection(
    config: ModelConfig,
    candidates: tuple[Candidate, ...],
    engine: str | None,
    refusal: LladaError | None = None,
) -> Detection:
    return Detection(
        path=config.path,
        model_type=config.model_type,
        architectures=config.architectures,
        engine=engine,
        candidates=candidates,
        refusal=refusal,
    )


def _named_engine(registry: Registry, engine: str | None) -> EngineInfo | None:
    if engine is not None:
        return registry.engine(engine)
    preferred = read_environment().engine
    try:
        return None if preferred is None else registry.engine(preferred)
    except UnknownEngine as exc:
        raise UnknownEngine(f"LLADA_ENGINE: {exc}", name=exc.name, candidates=exc.candidates) from exc


def _may_take(info: EngineInfo, installed: tuple[Candidate, ...]) -> bool:
    """Whether the engine is a candidate; one that declares no models is taken at its user's word."""
    declares = info.spec.model_types or info.spec.architectures
    return not declares or info.name in [candidate.engine for candidate in installed]


def _warn_of_skipped(registry: Registry, path: str, installed: tuple[Candidate, ...], chosen: str) -> None:
    for candidate in installed:
        if candidate.engine == chosen:
            return
        if registry.tell_once((EngineSkipped, candidate.engine, chosen)):
            message = f"{path} is given to {chosen}: {candidate.engine} cannot run here: {candidate.reason}"
            warnings.warn(message, EngineSkipped, stacklevel=4)
