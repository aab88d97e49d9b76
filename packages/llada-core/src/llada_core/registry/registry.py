"""``Registry``: one state of what is installed and registered, by name.

Reading takes no lock, because what changes at run time is replaced as a whole; writing takes one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llada_core.environment import Environment, read_environment
from llada_core.errors import EngineUnavailable, UnknownAlgorithm, UnknownEngine
from llada_core.imports import load_target
from llada_core.plugins.host import PluginHost, PluginStatus
from llada_core.plugins.info import AlgorithmInfo, EngineInfo
from llada_core.plugins.installed import Installed
from llada_core.plugins.specs import CommandSpec, StrangerSpec, WheelSpec
from llada_core.registry.catalogue import Catalogue
from llada_core.registry.instances import factory_of, make, spec_of
from llada_core.registry.readiness import Readiness
from llada_core.registry.wheels import published

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["Registry"]


class Registry:
    """Engines, algorithms and commands of the plugins that ``installed`` and ``environment`` let in.

    Raises ``PluginError`` where LLADA_STRICT_PLUGINS is set and a plugin cannot be used.
    """

    def __init__(self, installed: Installed | None = None, environment: Environment | None = None) -> None:
        installed = Installed() if installed is None else installed
        self._host = PluginHost(installed, read_environment() if environment is None else environment)
        self._catalogue = Catalogue(self._host)
        self._readiness = Readiness(self._catalogue, installed)
        self._told: set[object] = set()
        self._lock = threading.Lock()

    def algorithms(self, *, engine: str | None = None, available: bool = False) -> list[str]:
        """The names, sorted: of all algorithms, of one engine's, or only of those that can run here."""
        if engine is None:
            names = sorted(self._catalogue.algorithms)
        else:
            names = self._catalogue.algorithms_of(self._engine_of_algorithms(engine))
        return [name for name in names if not available or self._readiness.algorithm(name) is None]

    def engines(self) -> list[str]:
        """The names of the engines, sorted."""
        return sorted(self._catalogue.engines)

    def commands(self) -> list[CommandSpec]:
        """The subcommands that plugins contribute, sorted by name."""
        return [self._catalogue.commands[name] for name in sorted(self._catalogue.commands)]

    def statuses(self) -> list[PluginStatus]:
        """What became of each plugin, sorted by distribution."""
        return [plugin.status() for plugin in self._host.plugins]

    def algorithm(self, name: str, *, use: bool = False) -> AlgorithmInfo:
        """The facts of an algorithm; with ``use`` it is imported and its engine probed to find them out."""
        canonical = self._resolve_algorithm(name)
        entry = self._catalogue.algorithms[canonical]
        engine = self._catalogue.engine_of(entry.spec)
        holder = self._catalogue.engines.get(engine)
        reason = self._readiness.algorithm(canonical, use=use)
        return AlgorithmInfo(
            name=canonical,
            description=entry.spec.summary,
            engine=engine,
            available=reason is None,
            reason=reason,
            aliases=self._catalogue.algorithm_names.aliases(canonical),
            default=holder is not None and holder.default_algorithm == canonical,
            parameters=entry.spec.parameters,
            streams=entry.spec.streams,
            distribution=entry.distribution,
            spec=entry.spec,
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
        info = self.algorithm(name, use=True)
        return make(info, self._catalogue.algorithms[info.name].factory)

    def load_engine_class(self, name: str) -> Any:
        """The class that the engine's target names. Raises ``EngineUnavailable`` where it cannot run."""
        info = self.engine(name, use=True)
        if info.reason is not None:
            message = f"the engine {info.name} cannot run here: {info.reason}"
            raise EngineUnavailable(message, name=info.name, reason=info.reason)
        return load_target(info.spec.target)

    def register(self, algorithm: Any, aliases: Iterable[str] = ()) -> Callable[[], None]:
        """Take in an algorithm at run time and return what undoes it."""
        factory, spec = factory_of(algorithm), spec_of(algorithm, aliases)
        with self._lock:
            entry = self._catalogue.register(spec, factory)

        def undo() -> None:
            with self._lock:
                self._catalogue.unregister(entry)

        return undo

    def detect_by_hook(self, config: Mapping[str, Any]) -> str | None:
        """The engine that the first hook with an opinion names for a model of this config, or None."""
        engines = [self.engine(name) for name in self.engines()]
        names = self._catalogue.engine_names
        answer = self._host.first_answer(
            "llada_detect_engine",
            lambda name: isinstance(name, str) and names.resolve(name) is not None,
            config=MappingProxyType(dict(config)),
            engines=engines,
        )
        return None if answer is None else names.resolve(answer)

    def missing_wheels(self) -> list[WheelSpec]:
        """The known wheels whose engines are not installed."""
        names = self._catalogue.engine_names
        return [row for row in self._catalogue.wheels.rows() if names.resolve(row.engine) is None]

    def strangers(self) -> list[StrangerSpec]:
        """What installed engines, and then missing wheels, know to be something else than their models."""
        named = [self._catalogue.engines[name].spec.strangers for name in self.engines()]
        named += [row.strangers for row in self.missing_wheels()]
        return [stranger for strangers in named for stranger in strangers]

    def advice(self, engine: str) -> str:
        """How to get an engine that is not installed."""
        return self._catalogue.wheels.advice(engine)

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
            message = f"no algorithm is called {name!r}; {self._advice(near, 'algorithms')}"
            raise UnknownAlgorithm(message, name=name, candidates=near)
        return canonical

    def _resolve_engine(self, name: str) -> str:
        names = self._catalogue.engine_names
        canonical = names.resolve(name)
        if canonical is None:
            near = names.closest(name)
            message = f"no engine is called {name!r}; {self._advice(near, 'engines')}"
            if self._catalogue.wheels.find(name) is not None:
                message = self._catalogue.wheels.advice(name)
            raise UnknownEngine(message, name=name, candidates=near)
        return canonical

    def _advice(self, near: tuple[str, ...], command: str) -> str:
        if near:
            return f"did you mean {' or '.join(near)}? `llada {command}` lists them all"
        empty = None if self._catalogue.algorithms else self.why_empty()
        return empty or f"`llada {command}` lists them all"

    def _engine_of_algorithms(self, name: str) -> str:
        """The canonical engine name; an engine that only run-time algorithms name is one too."""
        return name if self._catalogue.algorithms_of(name) else self._resolve_engine(name)
