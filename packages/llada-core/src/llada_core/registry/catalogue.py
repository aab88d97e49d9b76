"""What the plugins and the running program contribute, under names that are unique.

Names come before aliases, so that nobody's alias takes an algorithm's own name. Among equals the earlier
plugin keeps the name; the newcomer loses the thing (for a name) or the alias. This module does not know what
can run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from llada_core.errors import PluginConflict, UsageError
from llada_core.names import Claim, NameTable
from llada_core.plugins.host import Plugin, PluginHost
from llada_core.plugins.specs import AlgorithmSpec, CommandSpec, EngineSpec, WheelSpec
from llada_core.registry.wheels import Wheels

__all__ = ["RESERVED_COMMANDS", "AlgorithmEntry", "Catalogue", "EngineEntry"]

RESERVED_COMMANDS = ("algorithms", "chat", "detect", "doctor", "engines", "generate", "plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """An engine that kept its name; ``default_algorithm`` is the spec's, unless that one lost its name."""

    spec: EngineSpec
    distribution: str | None
    default_algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlgorithmEntry:
    """An algorithm that kept its name.

    ``factory`` makes the object where the algorithm was registered at run time; else the spec's target does.
    """

    spec: AlgorithmSpec
    distribution: str | None
    factory: Callable[[], Any] | None = None


class Catalogue:
    """Engines, algorithms and commands by name, the names and aliases that lead to them, and known wheels.

    Changes at run time replace ``algorithms`` as a whole, so that other threads may read meanwhile.
    """

    def __init__(self, host: PluginHost) -> None:
        self.engines: dict[str, EngineEntry] = {}
        self.algorithms: dict[str, AlgorithmEntry] = {}
        self.commands: dict[str, CommandSpec] = {}
        self.engine_names = NameTable()
        self.algorithm_names = NameTable()
        self.wheels = Wheels()
        self._host = host
        engines = [
            pair for pair in host.contributions("llada_engines", EngineSpec) if self._add_engine(*pair)
        ]
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

    def algorithms_of(self, engine: str) -> list[str]:
        """The names of the algorithms on the engine of this canonical name, sorted."""
        return sorted(n for n, entry in self.algorithms.items() if self.engine_of(entry.spec) == engine)

    def register(self, spec: AlgorithmSpec, factory: Callable[[], Any]) -> AlgorithmEntry:
        """Take in an algorithm at run time; one of the same target (a notebook cell run again) is replaced.

        Raises ``UsageError`` where another algorithm has one of its names.
        """
        for name in (spec.name, *spec.aliases):
            owner = self.algorithm_names.owner(name)
            if owner not in (None, spec.target):
                raise UsageError(f"the name {name} is taken by {owner}; register under another name")
        self.algorithm_names.release(spec.name)
        for name in (spec.name, *spec.aliases):
            self.algorithm_names.claim(Claim(name=name, target=spec.name, owner=spec.target))
        entry = AlgorithmEntry(spec=spec, distribution=None, factory=factory)
        self.algorithms = {**self.algorithms, spec.name: entry}
        return entry

    def unregister(self, entry: AlgorithmEntry) -> None:
        """Undo ``register``; nothing happens where the entry has been replaced or undone already."""
        if self.algorithms.get(entry.spec.name) is entry:
            self.algorithms = {n: kept for n, kept in self.algorithms.items() if kept is not entry}
            self.algorithm_names.release(entry.spec.name)

    def _add_engine(self, plugin: Plugin, spec: EngineSpec) -> bool:
        """Whether the engine and at least one of its algorithms kept their names."""
        if not self._claim(self.engine_names, "engine", spec.name, spec.name, plugin):
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
        if not self._claim(self.algorithm_names, "algorithm", spec.name, spec.name, plugin):
            return False
        self.algorithms[spec.name] = AlgorithmEntry(spec=spec, distribution=plugin.distribution)
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
                    self._claim(table, f"{what} alias", alias, spec.name, plugin)

    def _add_commands(self, contributed: Iterable[tuple[Plugin, CommandSpec]]) -> None:
        table = NameTable()
        for name in RESERVED_COMMANDS:
            table.claim(Claim(name=name, target=name, owner="llada-core"))
        for plugin, spec in contributed:
            if self._claim(table, "command", spec.name, spec.name, plugin):
                self.commands[spec.name] = spec
                plugin.contributed += 1

    def _add_wheels(self, contributed: Iterable[tuple[Plugin, WheelSpec]]) -> None:
        for plugin, row in contributed:
            kept = self.wheels.add(row)
            if kept is None or canonicalize_name(kept.distribution) == canonicalize_name(row.distribution):
                plugin.contributed += 1
            else:
                self._host.report(plugin, _other_wheel(kept, row, plugin))

    def _claim(self, table: NameTable, what: str, name: str, target: str, plugin: Plugin) -> bool:
        kept = table.claim(Claim(name=name, target=target, owner=plugin.owner))
        if kept is not None:
            self._host.report(plugin, _conflict(what, kept, plugin))
        return kept is None


def _other_wheel(kept: WheelSpec, row: WheelSpec, plugin: Plugin) -> PluginConflict:
    reason = (
        f"the wheel {row.distribution} that {plugin.owner} names for the engine {row.engine} is dropped, "
        f"because {kept.distribution} is known to bring it; take the row out, or rename the engine"
    )
    return PluginConflict(
        reason, plugin=plugin.name, name=row.engine, dist=plugin.distribution, other=kept.distribution
    )


def _conflict(what: str, kept: Claim, plugin: Plugin) -> PluginConflict:
    reason = (
        f"the {what} {kept.name} of {plugin.owner} is dropped, because {kept.owner} has that name; "
        "uninstall one of them, or name it in LLADA_BLOCK_PLUGINS"
    )
    return PluginConflict(
        reason, plugin=plugin.name, name=kept.name, dist=plugin.distribution, other=kept.owner
    )
