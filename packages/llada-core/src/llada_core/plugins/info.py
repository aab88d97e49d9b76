"""What the registry tells about an engine, an algorithm or a part: facts as of the moment of asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llada_core.parameters.parameter import Parameter
from llada_core.parameters.parts import values_of_part
from llada_core.plugins.specs import AlgorithmSpec, EngineSpec, PartKind, PartSpec

__all__ = ["AlgorithmInfo", "EngineInfo", "PartInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmInfo:
    """An algorithm: ``reason`` says why it cannot run here, None if it can; ``default`` tells whether it is
    its engine's default; ``distribution`` is None where it was registered at run time. ``takers`` are, for
    each standard parameter that it does not take, the algorithms that do; ``absent`` says of parameters of
    parts that are not installed, where it takes those of all parts, whose they are."""

    name: str
    description: str
    engine: str
    available: bool
    reason: str | None
    aliases: tuple[str, ...]
    default: bool
    parameters: tuple[Parameter, ...]
    streams: bool
    distribution: str | None
    spec: AlgorithmSpec
    takers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    absent: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "name": self.name,
            "engine": self.engine,
            "aliases": list(self.aliases),
            "available": self.available,
            "reason": self.reason,
            "default": self.default,
            "description": self.description,
            "parameters": [parameter.as_dict() for parameter in self.parameters],
            "streams": self.streams,
            "distribution": self.distribution,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine: ``reason`` says why it cannot run here, None if it can; ``algorithms`` are the names of
    all that run on it, of whatever distribution; ``default_algorithm`` is one of them."""

    name: str
    available: bool
    reason: str | None
    default_algorithm: str
    algorithms: tuple[str, ...]
    distribution: str | None
    aliases: tuple[str, ...]
    priority: int
    summary: str
    spec: EngineSpec

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "name": self.name,
            "available": self.available,
            "reason": self.reason,
            "default_algorithm": self.default_algorithm,
            "algorithms": list(self.algorithms),
            "distribution": self.distribution,
            "aliases": list(self.aliases),
            "priority": self.priority,
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """A rule or a policy, as ``kind`` says: ``reason`` says why it cannot be made here, None if it can;
    ``parameters`` are its own, with its own defaults."""

    kind: PartKind
    name: str
    summary: str
    available: bool
    reason: str | None
    aliases: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    distribution: str | None
    spec: PartSpec

    def effective(self, params: Mapping[str, object]) -> dict[str, object]:
        """What its function is called with, where ``params`` are the effective values of an algorithm: of its
        own parameters those that are not None there, of the others the defaults; and ``gen_length`` and
        ``block_length``.

        Raises ``ParameterError`` where a value is out of its range.
        """
        return values_of_part(self.parameters, params, part=f"the {self.kind} {self.name}")

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "kind": self.kind,
            "name": self.name,
            "aliases": list(self.aliases),
            "available": self.available,
            "reason": self.reason,
            "summary": self.summary,
            "parameters": [parameter.as_dict() for parameter in self.parameters],
            "distribution": self.distribution,
        }
