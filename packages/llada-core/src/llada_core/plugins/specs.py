"""What a plugin says: engines, algorithms, their parts, commands and wheels, as facts that check themselves.

A spec names code by ``"module:attr"`` and never holds it, so that listing imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from llada_core.errors import InvalidSpec
from llada_core.parameters.parameter import Parameter
from llada_core.plugins.fields import (
    check_distinct,
    check_name,
    check_names,
    check_requirements,
    check_string,
    check_target,
    check_tuple,
    check_words,
)

__all__ = [
    "AlgorithmSpec",
    "CommandSpec",
    "EngineSpec",
    "PartKind",
    "PartSpec",
    "PolicySpec",
    "RuleSpec",
    "StrangerSpec",
    "WheelSpec",
]

PartKind = Literal["rule", "policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmSpec:
    """One way of filling masks: ``target`` is the ``"module:attr"`` of its ``GenerationAlgorithm`` class.

    ``parameters`` is all that it takes; ``streams`` says whether it can yield its steps as it goes. With
    ``parts`` it takes the parameters of all installed rules and policies besides, each once and none where
    the part's own default holds. Fields that contradict each other raise ``InvalidSpec``.
    """

    name: str
    engine: str
    target: str
    summary: str
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    streams: bool = True
    parts: bool = False

    def __post_init__(self) -> None:
        owner = f"algorithm {self.name!r}"
        _check_taker(owner, self)
        check_name(owner, "engine", self.engine)
        if not isinstance(self.parts, bool):
            raise InvalidSpec(f"{owner}: parts must be True or False, not {self.parts!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """What a `RuleSpec` and a `PolicySpec` say: a part that algorithms compose by its name.

    ``target`` is the ``"module:attr"`` of a function ``(params)`` that makes the part for one sequence, as
    ``StepAlgorithm.rule(params)`` and ``.policy(params)`` do. ``params`` maps canonical names to effective
    values: those of ``parameters``, which is all that it takes, and ``gen_length`` and ``block_length``.
    Fields that contradict each other raise ``InvalidSpec``.
    """

    kind: ClassVar[PartKind]

    name: str
    target: str
    summary: str
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        _check_taker(f"{self.kind} {self.name!r}", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec(PartSpec):
    """A commit rule: which proposals become tokens now. See `PartSpec`; its function returns a
    ``llada_runtime.Rule``."""

    kind: ClassVar[PartKind] = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec(PartSpec):
    """A cache policy: what the next forward covers, reads and writes. See `PartSpec`; its function returns a
    ``llada_runtime.Policy``."""

    kind: ClassVar[PartKind] = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerSpec:
    """Models that share a word with an engine's own and are something else.

    ``patterns``, as a shell has them, are compared with the names in ``config.json`` that tell what a model
    is (``model_type``, ``architectures``, the classes in ``auto_map``), upper and lower case alike. ``kind``
    says what a model is of which one fits, such as "an autoregressive model, which does not fill masks".
    """

    patterns: tuple[str, ...]
    kind: str

    def __post_init__(self) -> None:
        owner = f"stranger {self.kind!r}"
        check_string(owner, "kind", self.kind)
        check_words(owner, "patterns", self.patterns)
        if not self.kind or not self.patterns:
            raise InvalidSpec(f"{owner}: give both patterns and kind")

    def includes(self, name: str) -> bool:
        """Whether a model of this name is one of these."""
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """A network and cache layout with the algorithms that run on it.

    ``target`` is the ``"module:attr"`` of the class that loads models; ``requires`` lists requirements
    beyond those of the distribution; ``probe`` is the ``"module:attr"`` of a function that returns None or
    the reason why the engine cannot run here, and is called only on use. ``model_types`` and
    ``architectures`` are matched exactly against ``config.json``; of the engines that match, the one of
    highest ``priority`` is taken. ``foreign`` says that the engine also runs masked models that no engine
    knows, by the code that comes with them: it is asked last, under ``trust_remote_code`` alone, and of
    several the one of highest ``priority`` is taken. ``strangers`` are models that are easily taken for its
    own and are not, and those whose code would give it noise; where nothing takes one, the refusal says what
    it is. ``memory`` is the ``"module:attr"`` of a function ``(config, *, dtype, available)``: of a parsed
    ``config.json``, the name of a dtype and the free bytes (None where they are not known), of
    ``tensor_parallel`` where a model is to be split between more than one device and of ``quantization``
    where its weights are to have eight bits, it returns an object whose ``as_dict()`` has the keys of
    ``llada_runtime.MemoryEstimate``, or raises ``ValueError`` with the reason why it cannot; it must be
    importable without torch. ``steps`` is the ``"module:attr"`` of a
    function ``(config, *, device, dtype)`` that says in a sentence how the network would run its steps there.
    Fields that contradict each other raise ``InvalidSpec``.
    """

    name: str
    target: str
    default_algorithm: str
    algorithms: tuple[AlgorithmSpec, ...]
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    probe: str | None = None
    memory: str | None = None
    steps: str | None = None
    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    foreign: bool = False
    strangers: tuple[StrangerSpec, ...] = ()
    priority: int = 0
    summary: str = ""

    def __post_init__(self) -> None:
        owner = f"engine {self.name!r}"
        check_names(owner, self.name, self.aliases)
        check_target(owner, "target", self.target)
        for field in ("probe", "memory", "steps"):
            if getattr(self, field) is not None:
                check_target(owner, field, getattr(self, field))
        check_tuple(owner, "requires", self.requires, str)
        check_requirements(owner, self.requires)
        _check_models(owner, self)
        if not isinstance(self.foreign, bool):
            raise InvalidSpec(f"{owner}: foreign must be True or False, not {self.foreign!r}")
        check_string(owner, "summary", self.summary)
        self._check_algorithms(owner)

    def _check_algorithms(self, owner: str) -> None:
        check_tuple(owner, "algorithms", self.algorithms, AlgorithmSpec)
        for algorithm in self.algorithms:
            if algorithm.engine != self.name:
                raise InvalidSpec(
                    f"{owner}: algorithm {algorithm.name!r} names engine {algorithm.engine!r}; "
                    "give it this engine, or contribute it through llada_algorithms"
                )
        if self.default_algorithm not in [algorithm.name for algorithm in self.algorithms]:
            raise InvalidSpec(
                f"{owner}: default_algorithm {self.default_algorithm!r} is not among its algorithms"
            )
        names = [name for algorithm in self.algorithms for name in (algorithm.name, *algorithm.aliases)]
        check_distinct(owner, "algorithm names and aliases", names)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSpec:
    """A distribution that brings an engine, for advice where that engine is not installed.

    ``summary`` is a sentence for people; ``priority``, ``model_types``, ``architectures`` and ``strangers``
    repeat what the engine says of itself, which alone counts once it is installed. A model is one of its
    models too where its ``auto_map`` names a module that fits one of the patterns in ``modules``, or where
    its config sets all of ``fields``. ``aliases`` are other names of the engine, and ``algorithms`` the names
    and aliases of its algorithms, for whoever asks for one. Fields that contradict each other raise
    ``InvalidSpec``.
    """

    distribution: str
    engine: str
    summary: str
    priority: int = 0
    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    strangers: tuple[StrangerSpec, ...] = ()
    algorithms: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = f"wheel {self.distribution!r}"
        check_name(owner, "distribution", self.distribution)
        check_name(owner, "engine", self.engine)
        check_string(owner, "summary", self.summary)
        check_words(owner, "modules", self.modules)
        check_words(owner, "fields", self.fields)
        check_words(owner, "algorithms", self.algorithms)
        check_words(owner, "aliases", self.aliases)
        _check_models(owner, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A subcommand of the ``llada`` program; ``target`` is the ``"module:attr"`` of its click command.

    The target is imported when the command is run. Raises ``InvalidSpec`` where a field is malformed.
    """

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        owner = f"command {self.name!r}"
        check_name(owner, "name", self.name)
        check_target(owner, "target", self.target)
        check_string(owner, "summary", self.summary)


def _check_taker(owner: str, spec: AlgorithmSpec | PartSpec) -> None:
    """Refuse malformed facts about what takes parameters."""
    check_names(owner, spec.name, spec.aliases)
    check_target(owner, "target", spec.target)
    check_string(owner, "summary", spec.summary)
    check_tuple(owner, "parameters", spec.parameters, Parameter)
    names = [name for parameter in spec.parameters for name in parameter.names]
    check_distinct(owner, "parameter names and aliases", names)


def _check_models(owner: str, spec: EngineSpec | WheelSpec) -> None:
    """Refuse malformed facts about models, and models that are the engine's own and its strangers at once."""
    for field in ("model_types", "architectures"):
        check_words(owner, field, getattr(spec, field))
    if not isinstance(spec.priority, int) or isinstance(spec.priority, bool):
        raise InvalidSpec(f"{owner}: priority must be an int, not {spec.priority!r}")
    check_tuple(owner, "strangers", spec.strangers, StrangerSpec)
    for stranger in spec.strangers:
        for name in filter(stranger.includes, (*spec.model_types, *spec.architectures)):
            raise InvalidSpec(
                f"{owner}: {name!r} is listed as its own, and is {stranger.kind} by its strangers; "
                "narrow the patterns"
            )
