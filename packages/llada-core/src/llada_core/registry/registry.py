"""``Registry``: one state of what is installed and registered, by name.

Reading takes no lock, because what changes at run time is replaced as a whole; writing takes one.
"""

from __future__ import annotations

import reprlib
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llada_core.environment import Environment, read_environment
from llada_core.errors import EngineUnavailable, UnknownAlgorithm, UnknownEngine, UsageError
from llada_core.imports import load_target
from llada_core.plugins.host import PluginHost
from llada_core.plugins.info import AlgorithmInfo, EngineInfo
from llada_core.plugins.installed import Installed
from llada_core.plugins.specs import CommandSpec, EngineSpec, StrangerSpec, WheelSpec
from llada_core.plugins.status import Decision, PluginStatus, Question
from llada_core.registry.absence import Absence
from llada_core.registry.catalogue import Catalogue
from llada_core.registry.instances import factory_of, make, owner_of, refusal_of, spec_of
from llada_core.registry.library import PartLibrary
from llada_core.registry.readiness import Readiness
from llada_core.registry.registration import Registrations
from llada_core.registry.wheels import published

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["Registry"]

_DETECTS = "llada_detect_engine"
# A config that is nobody's: what a hook is asked about to see whether it can be asked at all.
_INVENTED: Mapping[str, Any] = MappingProxyType(
    {"model_type": "unknown", "architectures": ["UnknownModel"], "auto_map": {}}
)


class Registry:
    """Engines, algorithms, parts and commands of the plugins that ``installed`` and ``environment`` let in.

    Raises ``PluginError`` where LLADA_STRICT_PLUGINS is set and a plugin cannot be used.
    """

    def __init__(self, installed: Installed | None = None, environment: Environment | None = None) -> None:
        installed = Installed() if installed is None else installed
        self._host = PluginHost(installed, read_environment() if environment is None else environment)
        self._catalogue = Catalogue(self._host)
        self._registrations = Registrations(self._catalogue)
        self._readiness = Readiness(self._catalogue, installed)
        self._absence = Absence(self._catalogue, self.statuses)
        self.parts = PartLibrary(self._catalogue.parts, self._readiness, self._absence)
        self._told: set[object] = set()
        self._lock = threading.Lock()

    def algorithms(self, *, engine: str | None = None, available: bool = False) -> list[str]:
        """The names, sorted: of all algorithms, of one engine's, or only of those that can run here."""
        if engine is None:
            names = sorted(self._catalogue.algorithms)
        else:
            names = self._catalogue.algorithms_of(self._resolve_engine(engine))
        return [name for name in names if not available or self._readiness.algorithm(name) is None]

    def engines(self) -> list[str]:
        """The names of the engines, sorted."""
        return sorted(self._catalogue.engines)

    def commands(self) -> list[CommandSpec]:
        """The subcommands that plugins contribute, sorted by name."""
        return [self._catalogue.commands[name] for name in sorted(self._catalogue.commands)]

    def statuses(self) -> list[PluginStatus]:
        """What became of each plugin, sorted by distribution. Asks their detection hooks where that was not
        done by ``decisions``."""
        if self.tell_once(_DETECTS):
            self.decisions()
        return self._catalogue.plugin_statuses()

    def problems(self, distribution: str) -> list[str]:
        """What keeps plugins of a distribution out, or a part of them; not what their hooks decide."""
        of_it = [plugin for plugin in self._host.plugins if plugin.distribution == distribution]
        return [problem.reason for plugin in of_it for problem in plugin.problems]

    def algorithm(self, name: str, *, use: bool = False) -> AlgorithmInfo:
        """The facts of an algorithm; with ``use`` an object is made of it to find them out."""
        if use:
            self.create(name)
        canonical = self._resolve_algorithm(name)
        return self._info(canonical, self._readiness.algorithm(canonical))

    def _info(self, canonical: str, reason: str | None) -> AlgorithmInfo:
        entry = self._catalogue.algorithms[canonical]
        engine = self._catalogue.engine_of(entry.spec)
        holder = self._catalogue.engines.get(engine)
        return AlgorithmInfo(
            name=canonical,
            description=entry.spec.summary,
            engine=engine,
            available=reason is None,
            reason=reason,
            aliases=self._catalogue.algorithm_names.aliases(canonical),
            default=holder is not None and holder.default_algorithm == canonical,
            parameters=entry.parameters,
            streams=entry.spec.streams,
            distribution=entry.distribution,
            spec=entry.spec,
            takers=self._catalogue.takers(entry),
            absent=self._absence.parameters() if entry.spec.parts else {},
        )

    def engine(self, name: str, *, use: bool = False) -> EngineInfo:
        """The facts of an engine; with ``use`` it is imported and probed to find them out."""
        canonical = self._resolve_engine(name)
        entry = self._catalogue.engines[canonical]
        reason = self._readiness.engine(canonical, use=use)
        return EngineInfo(
            name=canonical,
            available=reason is None,
            reason=reason,
            default_algorithm=entry.default_algorithm,
            algorithms=tuple(self._catalogue.algorithms_of(canonical)),
            distribution=entry.distribution,
            aliases=self._catalogue.engine_names.aliases(canonical),
            priority=entry.spec.priority,
            summary=entry.spec.summary,
            spec=entry.spec,
        )

    def create(self, name: str) -> GenerationAlgorithm:
        """A fresh object of the algorithm; where it cannot run, a stand-in that says why."""
        canonical = self._resolve_algorithm(name)
        info = self._info(canonical, self._readiness.algorithm(canonical, use=True))
        made = make(info, self._catalogue.algorithms[canonical].factory)
        self._readiness.remember(canonical, refusal_of(made))
        return made

    def load_engine_class(self, name: str) -> Any:
        """The class that the engine's target names. Raises ``EngineUnavailable`` where it cannot run."""
        info = self.engine(name, use=True)
        if info.reason is not None:
            message = f"the engine {info.name} cannot run here: {info.reason}"
            raise EngineUnavailable(message, name=info.name, reason=info.reason)
        if self._catalogue.engines[info.name].own:
            return type(self.create(info.default_algorithm))
        return load_target(info.spec.target)

    def register(
        self, algorithm: Any, aliases: Iterable[str] = (), *, parts: bool = False
    ) -> Callable[[], None]:
        """Take in an algorithm at run time and return what undoes it."""
        factory, spec = factory_of(algorithm), spec_of(algorithm, aliases, parts=parts)
        with self._lock:
            undo = self._registrations.add_algorithm(spec, factory, owner=owner_of(algorithm))
        return self._locked(undo)

    def register_engine(self, spec: EngineSpec) -> Callable[[], None]:
        """Take in an engine with its algorithms at run time and return what undoes it."""
        if not isinstance(spec, EngineSpec):
            raise UsageError(f"{reprlib.repr(spec)} is no EngineSpec; give EngineSpec(name=…, target=…, …)")
        with self._lock:
            undo = self._registrations.add_engine(spec)
        return self._locked(undo)

    def _locked(self, undo: Callable[[], None]) -> Callable[[], None]:
        def locked() -> None:
            with self._lock:
                undo()

        return locked

    def detect_by_hook(self, config: Mapping[str, Any]) -> str | None:
        """The engine that the first hook with an opinion names for a model of this config, or None."""
        answer = self._host.first_answer(self._question(config))
        return None if answer is None else self._catalogue.engine_names.resolve(answer)

    def decisions(self, config: Mapping[str, Any] | None = None) -> list[Decision]:
        """What each plugin's detection hook says of a model of this config, None for an invented one, each
        asked by itself."""
        self.tell_once(_DETECTS)
        return self._host.decisions(self._question(config))

    def _question(self, config: Mapping[str, Any] | None) -> Question:
        engines = [self.engine(name) for name in self.engines()]
        asked = _INVENTED if config is None else config
        return Question(
            hook=_DETECTS,
            about=_told(config),
            arguments={"config": MappingProxyType(dict(asked)), "engines": engines},
            accept=self._is_engine,
        )

    def _is_engine(self, name: object) -> bool:
        return isinstance(name, str) and self._catalogue.engine_names.resolve(name) is not None

    def targets(self) -> list[tuple[str, str]]:
        """Every ``"module:attr"`` that the specs name, once, with the distribution that names it."""
        return self._catalogue.targets()

    def command_owner(self, name: str) -> str | None:
        """The distribution that brings the subcommand of this name, installed or not; None where nobody is
        known to."""
        return self._catalogue.command_owners.get(name) or published().commands.get(name)

    def missing_command(self, name: str) -> str | None:
        """Why a subcommand that a known distribution brings is not there, ending with the remedy, or None."""
        return self._absence.command(name)

    def missing_algorithm(self, name: str) -> str | None:
        """Why an algorithm of a known wheel is not there, ending with the remedy; None for any other name."""
        return self._absence.algorithm(name)

    def missing_wheels(self) -> list[WheelSpec]:
        """The known wheels whose engines are not installed."""
        return self._catalogue.missing_wheels()

    def strangers(self) -> list[StrangerSpec]:
        """What installed engines, and then missing wheels, know to be something else than their models."""
        named = [self._catalogue.engines[name].spec.strangers for name in self.engines()]
        named += [row.strangers for row in self.missing_wheels()]
        return [stranger for strangers in named for stranger in strangers]

    def advice(self, engine: str) -> str:
        """Why an engine is not there, ending with how to get it."""
        return self._catalogue.missing_engine(engine)

    def unusable(self, engine: str) -> str | None:
        """Why an engine is not there though the wheel that is known to bring it is installed, or None."""
        return self._catalogue.unusable(engine)

    def tell_once(self, what: object) -> bool:
        """Whether this is the first time that ``what`` is told."""
        with self._lock:
            first = what not in self._told
            self._told.add(what)
        return first

    def why_empty(self) -> str | None:
        """Why there is no engine at all, ending with the remedy; None where there is one."""
        if self._catalogue.engines:
            return None
        if self._host.plugins:
            return "no plugin brought an engine; `llada plugins` tells why"
        return f"no engine is installed; pip install {published().recommended}"

    def _resolve_algorithm(self, name: str) -> str:
        names = self._catalogue.algorithm_names
        canonical = names.resolve(name)
        if canonical is None:
            near = names.closest(name)
            message = self.missing_algorithm(name) or self._unknown(
                "algorithm", name, near, lost=self._catalogue.lost
            )
            raise UnknownAlgorithm(message, name=name, candidates=near)
        return canonical

    def _resolve_engine(self, name: str) -> str:
        names = self._catalogue.engine_names
        canonical = names.resolve(name)
        if canonical is None:
            near = names.closest(name)
            message = self._unknown("engine", name, near)
            if self._catalogue.wheels.find(name) is not None:
                message = self._catalogue.missing_engine(name)
            raise UnknownEngine(message, name=name, candidates=near)
        return canonical

    def _unknown(
        self, what: str, name: str, near: tuple[str, ...], lost: Mapping[str, str] | None = None
    ) -> str:
        empty = None if self._catalogue.algorithms else self.why_empty()
        return self._absence.unknown(what, name, near, listing=f"{what}s", lost=lost, empty=empty)


def _told(config: Mapping[str, Any] | None) -> str:
    """Which model a hook is asked about, in words."""
    if config is None:
        return "an invented model"
    kind = config.get("model_type")
    return "a model of no type" if kind is None else f"a model of type {reprlib.repr(kind)}"
