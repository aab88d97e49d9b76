"""What the plugins and the running program contribute, under names that are unique.

Names come before aliases, so that nobody's alias takes an algorithm's own name. The name of an engine, and
those of its algorithms, are kept by the distribution with the best title to the engine (``title_of``); among
equals by the earlier one. The other loses the thing (for a name) or the alias, and is told. This module does
not know what can run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from llada_core.errors import PluginConflict
from llada_core.names import Claim, NameTable
from llada_core.parameters import STANDARD, Parameter
from llada_core.plugins.host import PluginHost
from llada_core.plugins.specs import AlgorithmSpec, CommandSpec, EngineSpec, WheelSpec
from llada_core.plugins.status import Plugin, PluginStatus
from llada_core.registry.claims import CORE, refused
from llada_core.registry.parts import Parts
from llada_core.registry.wheels import Wheels, title_of

__all__ = ["RESERVED_COMMANDS", "AlgorithmEntry", "Catalogue", "EngineEntry"]

RESERVED_COMMANDS = (
    "algorithms",
    "bench",
    "chat",
    "check",
    "convert",
    "detect",
    "doctor",
    "engines",
    "generate",
    "infill",
    "parts",
    "plugins",
    "score",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """An engine that kept its name; ``default_algorithm`` is the spec's, unless that one lost its name.

    ``own`` tells that it came with an algorithm that names none, and is found where that one is.
    """

    spec: EngineSpec
    distribution: str | None
    default_algorithm: str
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlgorithmEntry:
    """An algorithm that kept its name. ``parameters`` is all that it takes, with those of its parts.

    ``factory`` makes the object where the algorithm was registered at run time; else the spec's target does.
    """

    spec: AlgorithmSpec
    distribution: str | None
    parameters: tuple[Parameter, ...]
    factory: Callable[[], Any] | None = None


class Catalogue:
    """Engines, algorithms and commands by name, the names and aliases that lead to them, parts, and wheels.

    ``lost`` says of names and aliases of algorithms that lead nowhere why their plugin lost them.
    Changes at run time (``Registrations``) replace ``engines`` and ``algorithms`` as a whole, so that other
    threads may read meanwhile.
    """

    def __init__(self, host: PluginHost) -> None:
        self.engines: dict[str, EngineEntry] = {}
        self.algorithms: dict[str, AlgorithmEntry] = {}
        self.commands: dict[str, CommandSpec] = {}
        self.command_owners: dict[str, str] = {}
        self.engine_names = NameTable()
        self.algorithm_names = NameTable()
        self.lost: dict[str, str] = {}
        self.wheels = Wheels()
        self._taking: tuple[Mapping[str, AlgorithmEntry], dict[str, tuple[str, ...]]] | None = None
        self._host = host
        self.parts = Parts(host)
        claimed = _by_title(host.contributions("llada_engines", EngineSpec))
        engines = [pair for pair in claimed if self._add_engine(*pair)]
        algorithms = [(plugin, algorithm) for plugin, spec in engines for algorithm in spec.algorithms]
        for plugin, spec in host.contributions("llada_algorithms", AlgorithmSpec):
            self._add_algorithm(plugin, spec)
            algorithms.append((plugin, spec))
        self._add_aliases(self.engine_names, self.engines, "engine", engines)
        self._add_aliases(self.algorithm_names, self.algorithms, "algorithm", algorithms)
        self._add_commands(host.contributions("llada_commands", CommandSpec))
        self._add_wheels(host.contributions("llada_wheels", WheelSpec))

    def engine_of(self, spec: AlgorithmSpec) -> str:
        """The canonical name of the algorithm's engine, or the spec's own word for one that is not there."""
        return self.engine_names.resolve(spec.engine) or spec.engine

    def missing_engine(self, engine: str) -> str:
        """Why the engine of this name is not there, ending with how to get it."""
        return self.unusable(engine) or self.wheels.advice(engine, self.engine_names)

    def unusable(self, engine: str) -> str | None:
        """Why the engine of a known wheel that is installed is not there all the same, or None."""
        row = self.wheels.find(engine)
        wanted = None if row is None else canonicalize_name(row.distribution)
        for plugin in self._host.plugins:
            status = plugin.status()
            if status.reason and canonicalize_name(plugin.owner) == wanted:
                return f"the engine {engine} is of {plugin.owner}, which is {status.status}: {status.reason}"
        return None

    def algorithms_of(self, engine: str) -> list[str]:
        """The names of the algorithms on the engine of this canonical name, sorted."""
        return sorted(n for n, entry in self.algorithms.items() if self.engine_of(entry.spec) == engine)

    def plugin_statuses(self) -> list[PluginStatus]:
        """What became of each plugin so far."""
        return [plugin.status() for plugin in self._host.plugins]

    def takers(self, entry: AlgorithmEntry) -> dict[str, tuple[str, ...]]:
        """Which algorithms take those standard parameters that this one does not, sorted."""
        algorithms = self.algorithms
        if self._taking is None or self._taking[0] is not algorithms:  # it is replaced where it changes
            self._taking = (algorithms, _taking(algorithms))
        mine = {parameter.name for parameter in entry.parameters}
        return {name: who for name, who in self._taking[1].items() if name not in mine}

    def targets(self) -> list[tuple[str, str]]:
        """Every ``"module:attr"`` that the specs name, once, with the distribution that names it."""
        found: dict[str, str] = {}
        for engine in self.engines.values():
            spec = engine.spec
            for target in (spec.target, spec.probe, spec.memory, spec.steps):
                found.setdefault(target or "", engine.distribution or engine.spec.name)
        for entry in self.algorithms.values():
            if entry.factory is None:
                found.setdefault(entry.spec.target, entry.distribution or entry.spec.name)
        for part in self.parts.entries():
            found.setdefault(part.spec.target, part.distribution or part.spec.name)
        for name, command in self.commands.items():
            found.setdefault(command.target, self.command_owners[name])
        return sorted((target, owner) for target, owner in found.items() if target)

    def missing_wheels(self) -> list[WheelSpec]:
        """The known wheels whose engines are not installed."""
        return [row for row in self.wheels.rows() if self.engine_names.resolve(row.engine) is None]

    def _add_engine(self, plugin: Plugin, spec: EngineSpec) -> bool:
        """Whether the engine and at least one of its algorithms kept their names."""
        reason = self._refused(self.engine_names, "engine", spec.name, spec.name, plugin)
        if reason is not None:
            self.lost.update(
                {name: reason for each in spec.algorithms for name in (each.name, *each.aliases)}
            )
            return False
        kept = [each.name for each in spec.algorithms if self._add_algorithm(plugin, each)]
        if not kept:
            self.engine_names.release(spec.name)
            return False
        default = spec.default_algorithm if spec.default_algorithm in kept else kept[0]
        self.engines[spec.name] = EngineEntry(
            spec=spec, distribution=plugin.distribution, default_algorithm=default
        )
        return True

    def _add_algorithm(self, plugin: Plugin, spec: AlgorithmSpec) -> bool:
        reason = self._refused(self.algorithm_names, "algorithm", spec.name, spec.name, plugin)
        if reason is not None:
            self.lost.update(dict.fromkeys(spec.aliases, reason))
            return False
        self.algorithms[spec.name] = AlgorithmEntry(
            spec=spec, distribution=plugin.distribution, parameters=self.parts.parameters_of(spec)
        )
        plugin.contributed += 1
        return True

    def _add_aliases(
        self,
        table: NameTable,
        entries: Mapping[str, EngineEntry | AlgorithmEntry],
        what: str,
        contributed: Iterable[tuple[Plugin, EngineSpec | AlgorithmSpec]],
    ) -> None:
        for plugin, spec in contributed:
            entry = entries.get(spec.name)
            if entry is not None and entry.spec is spec:
                for alias in spec.aliases:
                    self._refused(table, f"{what} alias", alias, spec.name, plugin)

    def _add_commands(self, contributed: Iterable[tuple[Plugin, CommandSpec]]) -> None:
        table = NameTable()
        for name in RESERVED_COMMANDS:
            table.claim(Claim(name=name, target=name, owner=CORE))
        for plugin, spec in contributed:
            if self._refused(table, "command", spec.name, spec.name, plugin) is None:
                self.commands[spec.name], self.command_owners[spec.name] = spec, plugin.owner
                plugin.contributed += 1

    def _add_wheels(self, contributed: Iterable[tuple[Plugin, WheelSpec]]) -> None:
        for plugin, row in contributed:
            kept = self.wheels.add(row)
            if kept is None or canonicalize_name(kept.distribution) == canonicalize_name(row.distribution):
                plugin.contributed += 1
            else:
                self._host.report(plugin, _other_wheel(kept, row, plugin))

    def _refused(self, table: NameTable, what: str, name: str, target: str, plugin: Plugin) -> str | None:
        """None once the name is the plugin's, or the reason why it is not, which has been reported."""
        return refused(self._host, table, what, name, target, plugin)


def _taking(algorithms: Mapping[str, AlgorithmEntry]) -> dict[str, tuple[str, ...]]:
    """The names of the algorithms that take each standard parameter, sorted."""
    takes = {name: {parameter.name for parameter in entry.parameters} for name, entry in algorithms.items()}
    return {name: tuple(sorted(who for who in takes if name in takes[who])) for name in STANDARD}


def _by_title(claimed: list[tuple[Plugin, EngineSpec]]) -> list[tuple[Plugin, EngineSpec]]:
    """The engines, those with the best titles first; in the plugins' order where no name is contested."""
    engines = [spec.name for _, spec in claimed]
    algorithms = [
        name for _, spec in claimed for each in spec.algorithms for name in (each.name, *each.aliases)
    ]
    if len(set(engines)) == len(engines) and len(set(algorithms)) == len(algorithms):
        return claimed  # without a look at the data file
    return sorted(claimed, key=lambda claim: title_of(claim[0].distribution, claim[1].name).rank)


def _other_wheel(kept: WheelSpec, row: WheelSpec, plugin: Plugin) -> PluginConflict:
    reason = (
        f"the wheel {row.distribution} that {plugin.owner} names for the engine {row.engine} is dropped, "
        f"because {kept.distribution} is known to bring it; take the row out, or rename the engine"
    )
    return PluginConflict(
        reason, plugin=plugin.name, name=row.engine, dist=plugin.distribution, other=kept.distribution
    )
