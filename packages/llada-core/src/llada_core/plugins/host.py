"""Finding, loading and asking the plugins, each inside its own guard.

The loop is our own because one plugin's failure must stay that plugin's: it is kept as data
(``PluginStatus``) and raised only where LLADA_STRICT_PLUGINS is set. This module does not know what the
specs mean.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import importlib_metadata
import pluggy
from packaging.utils import canonicalize_name

from llada_core.environment import Environment
from llada_core.errors import PluginError, one_line
from llada_core.plugins import hookspecs
from llada_core.plugins.installed import EntryPoints, Installed, Package
from llada_core.plugins.requirements import core_mismatch

__all__ = ["Plugin", "PluginHost", "PluginStatus"]

_Spec = TypeVar("_Spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """What became of a plugin: ``loaded``, ``blocked`` by the user, or ``broken``.

    ``reason`` says why it is not loaded, or which part of a loaded plugin was left out; None where all is
    well.
    """

    name: str
    distribution: str | None
    version: str | None
    status: Literal["loaded", "blocked", "broken"]
    reason: str | None

    def as_dict(self) -> dict[str, str | None]:
        """The status in JSON types."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Plugin:
    """One plugin on its way: what it is, what it contributed so far and what went wrong."""

    name: str
    distribution: str | None = None
    version: str | None = None
    blocked: str | None = None
    contributed: int = 0
    problems: list[PluginError] = field(default_factory=list)

    @property
    def owner(self) -> str:
        """Who stands behind the plugin's names: the distribution, or the plugin where there is none."""
        return self.distribution or self.name

    def status(self) -> PluginStatus:
        """The state as of now."""
        reason = self.blocked or "; ".join(problem.reason for problem in self.problems) or None
        broken = bool(self.problems) and not self.contributed
        return PluginStatus(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            status="blocked" if self.blocked else "broken" if broken else "loaded",
            reason=reason,
        )


class PluginHost:
    """The plugins of an environment: loaded once, asked hook by hook."""

    def __init__(self, installed: Installed, environment: Environment) -> None:
        self.plugins: list[Plugin] = []
        self._strict = environment.strict_plugins
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, Plugin] = {}  # by the name under which pluggy knows it
        for offer in installed.plugins():
            self._admit(offer, installed, environment)
        self._report_missing(environment)

    def report(self, plugin: Plugin, problem: PluginError, cause: BaseException | None = None) -> None:
        """Keep what went wrong with ``plugin``, or raise it under LLADA_STRICT_PLUGINS."""
        if self._strict:
            raise problem from cause
        if problem.reason not in [known.reason for known in plugin.problems]:  # a hook may fail at each call
            plugin.problems.append(problem)

    def contributions(self, hook: str, kind: type[_Spec]) -> Iterator[tuple[Plugin, _Spec]]:
        """Every spec that the plugins return from ``hook``, with its plugin, in the order of the plugins."""
        for key, plugin in self._loaded.items():
            for spec in self._ask(key, plugin, hook):
                if isinstance(spec, kind):
                    yield plugin, spec
                else:
                    self._fail(plugin, f"{hook} yielded {reprlib.repr(spec)}, which is no {kind.__name__}")

    def first_answer(self, hook: str, accept: Callable[[Any], bool], **arguments: object) -> Any:
        """The first answer of a deciding ``hook`` that ``accept`` takes, or None; pluggy's order holds."""
        for implementation in reversed(self._caller(hook).get_hookimpls()):
            key = implementation.plugin_name
            answer = None
            with self._guard(self._loaded[key], f"{hook} failed"):
                answer = self._only(key, hook)(**arguments)
            if answer is not None and accept(answer):
                return answer
            if answer is not None:
                said = f"{hook} answered {reprlib.repr(answer)}, which is no engine's name"
                self._fail(self._loaded[key], said)
        return None

    def _admit(self, offer: EntryPoints, installed: Installed, environment: Environment) -> None:
        package = offer.package
        mismatch = core_mismatch(package, installed)
        for entry_point in sorted(offer.entry_points, key=lambda each: each.name):
            plugin = self._add(entry_point.name, package, _blocked_by(entry_point.name, package, environment))
            if plugin.blocked:
                continue
            if mismatch is None:
                self._load(plugin, entry_point)
            else:
                self.report(plugin, _problem(plugin, mismatch))
        if offer.problem is not None:
            with self._guard(self._add(package.name, package), "its entry points cannot be read"):
                raise offer.problem

    def _add(self, name: str, package: Package | None, blocked: str | None = None) -> Plugin:
        plugin = Plugin(
            name=name,
            distribution=package.name if package else None,
            version=package.version if package else None,
            blocked=blocked,
        )
        self.plugins.append(plugin)
        return plugin

    def _load(self, plugin: Plugin, entry_point: importlib_metadata.EntryPoint) -> None:
        key = f"{plugin.owner}:{plugin.name}"
        with self._guard(plugin, f"loading {entry_point.value} failed"):
            module = entry_point.load()
            try:
                self._register(key, module)
            except BaseException:
                if self._manager.get_plugin(key) is not None:
                    self._manager.unregister(name=key)
                raise
            self._loaded[key] = plugin

    def _register(self, key: str, module: object) -> None:
        self._manager.register(module, name=key)
        self._manager.check_pending()  # refuses a misspelled hook
        if not self._manager.get_hookcallers(module):
            raise pluggy.PluginValidationError(module, "it implements no hook; mark its hooks with hookimpl")

    def _ask(self, key: str, plugin: Plugin, hook: str) -> list[object]:
        implementations = [each for each in self._caller(hook).get_hookimpls() if each.plugin_name == key]
        with self._guard(plugin, f"{hook} failed"):
            for answer in self._only(key, hook)():
                return list(answer)
            if implementations:
                raise TypeError("it returned None; return a list of specs, or yield them")
        return []

    def _caller(self, hook: str) -> pluggy.HookCaller:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller

    def _only(self, key: str, hook: str) -> pluggy.HookCaller:
        others = [self._manager.get_plugin(other) for other in self._loaded if other != key]
        return self._manager.subset_hook_caller(hook, others)

    @contextlib.contextmanager
    def _guard(self, plugin: Plugin, failure: str) -> Iterator[None]:
        """Turn what a plugin's code raises into a report; an interrupt is not the plugin's and passes."""
        try:
            yield
        except (Exception, SystemExit) as exc:
            self._fail(plugin, f"{failure}: {one_line(exc)}", exc)

    def _fail(self, plugin: Plugin, reason: str, cause: BaseException | None = None) -> None:
        remedy = f"upgrade or uninstall {plugin.owner}, or set LLADA_BLOCK_PLUGINS={plugin.owner}"
        self.report(plugin, _problem(plugin, f"{reason}; {remedy}"), cause)

    def _report_missing(self, environment: Environment) -> None:
        known = {canonicalize_name(name) for plugin in self.plugins for name in (plugin.name, plugin.owner)}
        for name in sorted((environment.load_plugins or frozenset()) - known):
            plugin = self._add(name, None)
            named = f"LLADA_LOAD_PLUGINS names {name}, which is not installed"
            self.report(plugin, _problem(plugin, f"{named}; install it or correct the variable"))


def _problem(plugin: Plugin, reason: str) -> PluginError:
    message = f"plugin {plugin.name} of {plugin.owner}: {reason}"
    return PluginError(message, plugin=plugin.name, reason=reason, dist=plugin.distribution)


def _blocked_by(name: str, package: Package, environment: Environment) -> str | None:
    """Why the user's lists keep the plugin out, or None; they may name it or its distribution."""
    names = {canonicalize_name(name), canonicalize_name(package.name)}
    if names & environment.block_plugins:
        return "LLADA_BLOCK_PLUGINS names it; take it out of the variable to load it"
    if environment.load_plugins is not None and not names & environment.load_plugins:
        return f"LLADA_LOAD_PLUGINS does not name it; add {name} to the variable to load it"
    return None
