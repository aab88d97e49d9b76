"""What a plugin says: engines, algorithms, commands, and wheels of others, as facts that check themselves.

A spec names code by ``"module:attr"`` and never holds it, so that listing imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from packaging.requirements import InvalidRequirement, Requirement

from llada_core.errors import InvalidSpec
from llada_core.parameters.parameter import Parameter

__all__ = ["AlgorithmSpec", "CommandSpec", "EngineSpec", "StrangerSpec", "WheelSpec"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmSpec:
    """One way of filling masks: ``target`` is the ``"module:attr"`` of its ``GenerationAlgorithm`` class.

    ``parameters`` is all that it takes; ``streams`` says whether it can yield its steps as it goes. Fields
    that contradict each other raise ``InvalidSpec``.
    """

    name: str
    engine: str
    target: str
    summary: str
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    streams: bool = True

    def __post_init__(self) -> None:
        owner = f"algorithm {self.name!r}"
        _check_names(owner, self.name, self.aliases)
        _check_name(owner, "engine", self.engine)
        _check_target(owner, "target", self.target)
        _check_text(owner, "summary", self.summary)
        _check_tuple(owner, "parameters", self.parameters, Parameter)
        names = [name for parameter in self.parameters for name in parameter.names]
        _check_distinct(owner, "parameter names and aliases", names)


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
        _check_text(owner, "kind", self.kind)
        _check_words(owner, "patterns", self.patterns)
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
        _check_names(owner, self.name, self.aliases)
        _check_target(owner, "target", self.target)
        for field in ("probe", "memory", "steps"):
            if getattr(self, field) is not None:
                _check_target(owner, field, getattr(self, field))
        _check_tuple(owner, "requires", self.requires, str)
        _check_requirements(owner, self.requires)
        _check_models(owner, self)
        if not isinstance(self.foreign, bool):
            raise InvalidSpec(f"{owner}: foreign must be True or False, not {self.foreign!r}")
        _check_text(owner, "summary", self.summary)
        self._check_algorithms(owner)

    def _check_algorithms(self, owner: str) -> None:
        _check_tuple(owner, "algorithms", self.algorithms, AlgorithmSpec)
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
        _check_distinct(owner, "algorithm names and aliases", names)


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
        _check_name(owner, "distribution", self.distribution)
        _check_name(owner, "engine", self.engine)
        _check_text(owner, "summary", self.summary)
        _check_words(owner, "modules", self.modules)
        _check_words(owner, "fields", self.fields)
        _check_words(owner, "algorithms", self.algorithms)
        _check_words(owner, "aliases", self.aliases)
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
        _check_name(owner, "name", self.name)
        _check_target(owner, "target", self.target)
        _check_text(owner, "summary", self.summary)


def _check_name(owner: str, field: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpec(f"{owner}: {field} {name!r} must consist of letters, digits, '.', '_' and '-'")


def _check_names(owner: str, name: object, aliases: object) -> None:
    _check_name(owner, "name", name)
    _check_tuple(owner, "aliases", aliases, str)
    assert isinstance(aliases, tuple)
    for alias in aliases:
        _check_name(owner, "alias", alias)
    _check_distinct(owner, "name and aliases", [name, *aliases])


def _check_target(owner: str, field: str, target: object) -> None:
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise InvalidSpec(f"{owner}: {field} {target!r} must read 'module:attr'")


def _check_text(owner: str, field: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidSpec(f"{owner}: {field} must be a string, not {text!r}")


def _check_tuple(owner: str, field: str, values: object, kind: type) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        raise InvalidSpec(f"{owner}: {field} must be a tuple of {kind.__name__}, not {values!r}")


def _check_words(owner: str, field: str, words: object) -> None:
    _check_tuple(owner, field, words, str)
    assert isinstance(words, tuple)
    if not all(words):
        raise InvalidSpec(f"{owner}: {field} {words!r} holds an empty string; leave it out")


def _check_models(owner: str, spec: EngineSpec | WheelSpec) -> None:
    """Refuse malformed facts about models, and models that are the engine's own and its strangers at once."""
    for field in ("model_types", "architectures"):
        _check_words(owner, field, getattr(spec, field))
    if not isinstance(spec.priority, int) or isinstance(spec.priority, bool):
        raise InvalidSpec(f"{owner}: priority must be an int, not {spec.priority!r}")
    _check_tuple(owner, "strangers", spec.strangers, StrangerSpec)
    for stranger in spec.strangers:
        for name in filter(stranger.includes, (*spec.model_types, *spec.architectures)):
            raise InvalidSpec(
                f"{owner}: {name!r} is listed as its own, and is {stranger.kind} by its strangers; "
                "narrow the patterns"
            )


def _check_distinct(owner: str, what: str, names: Iterable[object]) -> None:
    listed = list(names)
    repeated = sorted({str(name) for name in listed if listed.count(name) > 1})
    if repeated:
        raise InvalidSpec(f"{owner}: {what} must be distinct; repeated: {', '.join(repeated)}")


def _check_requirements(owner: str, requires: tuple[str, ...]) -> None:
    for text in requires:
        try:
            Requirement(text)
        except InvalidRequirement as exc:
            raise InvalidSpec(f"{owner}: {text!r} in requires is not a requirement: {exc}") from exc
