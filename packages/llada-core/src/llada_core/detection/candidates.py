"""The engines that take a model, best first: those that are installed, and those that are only known to
exist."""

from __future__ import annotations

from dataclasses import dataclass

from llada_core.checkpoints.config import ModelConfig
from llada_core.checkpoints.hub import read_mask_token_id
from llada_core.plugins.info import EngineInfo
from llada_core.registry.registry import Registry
from llada_core.registry.wheels import takes

__all__ = ["Candidate", "foreign_candidates", "installed_candidates", "known_candidates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine that takes the model; ``reason`` says why it cannot run here.

    ``installed`` is False for an engine of a known wheel that is not installed.
    """

    engine: str
    available: bool
    reason: str | None
    priority: int
    distribution: str | None
    installed: bool
    summary: str = ""

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "engine": self.engine,
            "available": self.available,
            "reason": self.reason,
            "priority": self.priority,
            "distribution": self.distribution,
            "installed": self.installed,
            "summary": self.summary,
        }


def installed_candidates(registry: Registry, config: ModelConfig) -> tuple[Candidate, ...]:
    """The installed engines that take the model: the one that a hook names, then exact matches by
    priority."""
    hooked = registry.detect_by_hook(config.fields)
    engines = [registry.engine(name) for name in registry.engines()]
    fitting = [
        info
        for info in engines
        if info.name == hooked or config.matches(info.spec.model_types, info.spec.architectures)
    ]
    fitting.sort(key=lambda info: (info.name != hooked, -info.priority, info.name))
    return tuple(map(_candidate, fitting))


def foreign_candidates(registry: Registry, config: ModelConfig) -> tuple[Candidate, ...]:
    """The installed engines that run models by the models' own code, best first.

    None for a model that brings no code, whose mask token cannot be told, or that is known to be something
    else. To be asked where no engine knows the model.
    """
    engines = [registry.engine(name) for name in registry.engines()]
    taking = [info for info in engines if info.spec.foreign]
    taking.sort(key=lambda info: (-info.priority, info.name))
    if not taking or not config.brings_a_network or config.kind_among(registry.strangers()) is not None:
        return ()
    return () if read_mask_token_id(config) is None else tuple(map(_candidate, taking))


def _candidate(info: EngineInfo) -> Candidate:
    return Candidate(
        engine=info.name,
        available=info.available,
        reason=info.reason,
        priority=info.priority,
        distribution=info.distribution,
        installed=True,
        summary=info.summary,
    )


def known_candidates(registry: Registry, config: ModelConfig) -> tuple[Candidate, ...]:
    """The engines of known wheels that would take the model and are not installed, best first."""
    rows = [row for row in registry.missing_wheels() if takes(row, config)]
    rows.sort(key=lambda row: (-row.priority, row.engine))
    return tuple(
        Candidate(
            engine=row.engine,
            available=False,
            reason=registry.advice(row.engine),
            priority=row.priority,
            distribution=row.distribution,
            installed=False,
            summary=row.summary,
        )
        for row in rows
    )
