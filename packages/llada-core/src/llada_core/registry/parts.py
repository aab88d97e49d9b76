"""The rules and the policies that plugins contribute, under names that are unique for each kind.

Names come before aliases, and the parts of published distributions before all others. A parameter that two
parts have is of one kind, so that an algorithm can take it for both; the newcomer that means something else
by it is dropped. This module does not know what can run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from llada_core.errors import PluginConflict
from llada_core.names import NameTable
from llada_core.parameters import Parameter, with_parts
from llada_core.plugins.host import PluginHost
from llada_core.plugins.specs import AlgorithmSpec, PartKind, PartSpec, PolicySpec, RuleSpec
from llada_core.plugins.status import Plugin
from llada_core.registry.claims import refused
from llada_core.registry.wheels import published

__all__ = ["PartEntry", "PartTable", "Parts"]

_Claimed = list[tuple[Plugin, PartSpec]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartEntry:
    """A rule or policy that kept its name."""

    spec: PartSpec
    distribution: str | None


@dataclass(slots=True, kw_only=True)
class PartTable:
    """The parts of one kind by name. ``lost`` says of names and aliases that lead nowhere why their plugin
    lost them."""

    entries: dict[str, PartEntry] = field(default_factory=dict)
    names: NameTable = field(default_factory=NameTable)
    lost: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """The first parameter of a name, and which part has it: in words, and of whom."""

    parameter: Parameter
    part: str
    owner: str


class Parts:
    """The rules and policies of the plugins that ``host`` has loaded."""

    def __init__(self, host: PluginHost) -> None:
        self.tables: dict[PartKind, PartTable] = {"rule": PartTable(), "policy": PartTable()}
        self._host = host
        self._declared: dict[str, _Declared] = {}
        claimed = _by_title(
            [
                *host.contributions("llada_rules", RuleSpec),
                *host.contributions("llada_policies", PolicySpec),
            ]
        )
        for plugin, spec in claimed:
            self._add(plugin, spec)
        for plugin, spec in claimed:
            self._add_aliases(plugin, spec)

    def parameters_of(self, spec: AlgorithmSpec) -> tuple[Parameter, ...]:
        """All that an algorithm takes: its own, and those of all parts where it says so."""
        if not spec.parts:
            return spec.parameters
        named = ((f"{each.spec.kind} {each.spec.name}", each.spec.parameters) for each in self.entries())
        return with_parts(spec.parameters, named)

    def entries(self) -> Iterator[PartEntry]:
        """The rules and then the policies, each by name."""
        for table in self.tables.values():
            yield from (table.entries[name] for name in sorted(table.entries))

    def _add(self, plugin: Plugin, spec: PartSpec) -> None:
        table = self.tables[spec.kind]
        reason = self._misunderstood(plugin, spec) or refused(
            self._host, table.names, spec.kind, spec.name, spec.name, plugin
        )
        if reason is not None:
            table.lost.update(dict.fromkeys((spec.name, *spec.aliases), reason))
            return
        table.entries[spec.name] = PartEntry(spec=spec, distribution=plugin.distribution)
        plugin.contributed += 1
        for each in spec.parameters:
            part = f"the {spec.kind} {spec.name} of {plugin.owner}"
            self._declared.setdefault(each.name, _Declared(parameter=each, part=part, owner=plugin.owner))

    def _add_aliases(self, plugin: Plugin, spec: PartSpec) -> None:
        table = self.tables[spec.kind]
        entry = table.entries.get(spec.name)
        if entry is not None and entry.spec is spec:
            for alias in spec.aliases:
                refused(self._host, table.names, f"{spec.kind} alias", alias, spec.name, plugin)

    def _misunderstood(self, plugin: Plugin, spec: PartSpec) -> str | None:
        """Why a part is dropped whose parameter is another's by name and of another kind, which has been
        reported; None for a part that may stay."""
        for each in spec.parameters:
            known = self._declared.get(each.name)
            if known is not None and known.parameter.kind is not each.kind:
                conflict = _other_kind(plugin, spec, each, known)
                self._host.report(plugin, conflict)
                return conflict.reason
        return None


def _other_kind(plugin: Plugin, spec: PartSpec, mine: Parameter, known: _Declared) -> PluginConflict:
    reason = (
        f"the {spec.kind} {spec.name} of {plugin.owner} is dropped, because its parameter {mine.name} is of "
        f"kind {mine.kind.__name__}, and that of {known.part} is of kind {known.parameter.kind.__name__}; "
        f"tell the authors of {plugin.owner} to give it another name"
    )
    return PluginConflict(
        reason, plugin=plugin.name, name=mine.name, dist=plugin.distribution, other=known.owner
    )


def _by_title(claimed: _Claimed) -> _Claimed:
    """The parts, those of published distributions first; in the plugins' order where nothing is contested."""
    if not _contested(claimed):
        return claimed  # without a look at the data file
    return sorted(claimed, key=lambda claim: not _is_published(*claim))


def _contested(claimed: _Claimed) -> bool:
    """Whether two parts of a kind have a name or an alias in common, or any two a parameter of two kinds."""
    names = [(spec.kind, name) for _, spec in claimed for name in (spec.name, *spec.aliases)]
    parameters = {(each.name, each.kind) for _, spec in claimed for each in spec.parameters}
    return len(set(names)) < len(names) or len({name for name, _ in parameters}) < len(parameters)


def _is_published(plugin: Plugin, spec: PartSpec) -> bool:
    """Whether the data file knows the part as one of its distribution."""
    owner = published().parts[spec.kind].get(spec.name)
    return owner is not None and owner == canonicalize_name(plugin.distribution or "")
