"""The checks of a distribution: its entry module, what its specs name, its detection hook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import pluggy
from packaging.utils import canonicalize_name

from llada_core import registry
from llada_core.faults import fault_of
from llada_core.plugins import hookspecs
from llada_core.plugins.installed import EntryPoints, Installed
from llada_core.plugins.specs import AlgorithmSpec, CommandSpec, EngineSpec, PartSpec, PolicySpec, RuleSpec
from llada_core.testing.checks import Check, NotRun
from llada_core.testing.detecting import detection_checks
from llada_core.testing.entry import entry_checks
from llada_core.testing.parts import part_checks
from llada_core.testing.targets import Config, algorithm_targets, command_targets, engine_targets

__all__ = ["distribution_checks", "offer_of"]

_Spec = TypeVar("_Spec")


def offer_of(name: str) -> EntryPoints | None:
    """What the installed distribution of this name, in any spelling, offers to the group of plugins."""
    wanted = canonicalize_name(name)
    return next(
        (each for each in Installed().plugins() if canonicalize_name(each.package.name) == wanted), None
    )


def distribution_checks(offer: EntryPoints, config: Config) -> Iterator[Check]:
    """The checks of a distribution; ``config`` gives that of a model that its engines take."""
    own = offer.package.name
    yield "its plugins are loaded with all that they bring", lambda: _is_loaded(offer)
    yield from entry_checks(offer)
    plugins = _plugins(offer)
    engines = _specs(plugins, "llada_engines", EngineSpec)
    algorithms = [each for spec in engines for each in spec.algorithms]
    algorithms += _specs(plugins, "llada_algorithms", AlgorithmSpec)
    yield from engine_targets(engines, config)
    yield algorithm_targets(algorithms)
    parts: list[PartSpec] = [*_specs(plugins, "llada_rules", RuleSpec)]
    parts += _specs(plugins, "llada_policies", PolicySpec)
    yield from part_checks(parts)
    yield command_targets(_specs(plugins, "llada_commands", CommandSpec))
    installed = [registry.get_engine(name) for name in registry.list_engines()]
    yield from detection_checks(plugins, installed, own)


def _is_loaded(offer: EntryPoints) -> None:
    own = offer.package.name
    for status in registry.plugin_statuses():
        if status.distribution == own and status.status == "blocked":
            raise NotRun(f"it is blocked: {status.reason}")
    problems = [offer.problem] if offer.problem else registry.shared().problems(own)
    assert not problems, "; ".join(problems)


def _plugins(offer: EntryPoints) -> list[object]:
    """Its modules, as far as they can be imported; that one cannot be, another check tells."""
    found: list[object] = []
    for point in offer.entry_points:
        try:
            found.append(point.load())
        except BaseException as exc:  # a plugin may raise anything
            fault_of(exc)
    return found


def _specs(plugins: Sequence[object], hook: str, kind: type[_Spec]) -> list[_Spec]:
    """What the plugins contribute; whether they do so rightly, another check tells."""
    found: list[object] = []
    for plugin in plugins:
        try:
            host = pluggy.PluginManager(hookspecs.PROJECT)
            host.add_hookspecs(hookspecs)
            host.register(plugin)
            for answer in getattr(host.hook, hook)():
                found += list(answer)
        except BaseException as exc:  # a plugin may raise anything
            fault_of(exc)
    return [each for each in found if isinstance(each, kind)]
