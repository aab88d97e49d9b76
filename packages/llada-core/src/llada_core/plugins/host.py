"""Finding, loading and asking the plugins, each inside its own guard.

The loop is our own because one plugin's failure must stay that plugin's: it is kept as data
(``PluginStatus``) and raised only where LLADA_STRICT_PLUGINS is set. This module does not know what the
specs mean.
"""

from __future__ import annotations

import contextlib
import re
import reprlib
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import importlib_metadata
import pluggy
from packaging.utils import canonicalize_name

from llada_core.environment import Environment
from llada_core.errors import PluginError
from llada_core.faults import fault_of, one_line
from llada_core.names import closest
from llada_core.plugins import hookspecs
from llada_core.plugins.installed import EntryPoints, Installed, Package
from llada_core.plugins.requirements import core_mismatch, missing_wheel
from llada_core.plugins.status import Decision, Plugin, PluginWarning, Question

__all__ = ["PluginHost"]

_Spec = TypeVar("_Spec")


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

    def report(
        self,
        plugin: Plugin,
        problem: PluginError,
        cause: BaseException | None = None,
        *,
        about: str | None = None,
    ) -> None:
        """Keep what went wrong with ``plugin``, when it was asked ``about`` something or else for good, or
        raise it under LLADA_STRICT_PLUGINS."""
        if self._strict:
            raise problem from cause
        if about is not None:  # a hook may fail at each call: the first is told
            plugin.misjudged.setdefault(problem.reason.replace(f" for {about}", "", 1), problem)
        elif problem.reason not in [known.reason for known in plugin.problems]:
            plugin.problems.append(problem)

    def contributions(self, hook: str, kind: type[_Spec]) -> list[tuple[Plugin, _Spec]]:
        """Every spec that the plugins return from ``hook``, with its plugin, in the order of the plugins."""
        return [
            (plugin, spec)
            for key, plugin in self._loaded.items()
            for spec in self._ask(key, plugin, hook, kind)
        ]

    def first_answer(self, question: Question) -> Any:
        """The first acceptable answer to ``question``, or None; pluggy's order holds."""
        for key in self._implementing(question.hook):
            answer, _ = self._decide(key, question)
            if answer is not None:
                return answer
        return None

    def decisions(self, question: Question) -> list[Decision]:
        """What each plugin that implements the hook of ``question`` answers, each asked by itself."""
        return [self._decision(key, question) for key in self._implementing(question.hook)]

    def _admit(self, offer: EntryPoints, installed: Installed, environment: Environment) -> None:
        package = offer.package
        problem = offer.problem or core_mismatch(package, installed)
        points = sorted(offer.entry_points, key=lambda each: each.name)
        for point in (*points,) or (None,):
            name = package.name if point is None else point.name
            plugin = self._add(name, package, _blocked_by(name, package, environment))
            if plugin.blocked:
                continue
            if problem is not None:
                self.report(plugin, _problem(plugin, problem))
            elif point is not None:
                self._load(plugin, point)

    def _add(self, name: str, package: Package | None, blocked: str | None = None) -> Plugin:
        plugin = Plugin(
            name=name,
            distribution=package.name if package else None,
            version=package.version if package else None,
            blocked=blocked,
            shadowed=package.shadowed if package else (),
        )
        self.plugins.append(plugin)
        return plugin

    def _load(self, plugin: Plugin, entry_point: importlib_metadata.EntryPoint) -> None:
        key = f"{plugin.owner}:{plugin.name}"
        with _timed(plugin), self._guard(plugin, f"loading {entry_point.value} failed"):
            if key in self._loaded:
                raise ValueError(f"{plugin.owner} has another entry point of the name {plugin.name}")
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
        try:
            self._manager.check_pending()  # refuses a misspelled hook
        except pluggy.PluginValidationError as exc:
            raise pluggy.PluginValidationError(module, self._with_hint(str(exc))) from exc
        if not self._manager.get_hookcallers(module):
            raise pluggy.PluginValidationError(module, "it implements no hook; mark its hooks with hookimpl")

    def _with_hint(self, said: str) -> str:
        """What pluggy says of a hook that it does not know, with the name that may be meant."""
        named = re.search(r"unknown hook '(\w+)'", said)
        known = [name for name, hook in vars(self._manager.hook).items() if hook.has_spec()]
        near = closest(named[1], known) if named else ()
        return f"{said}; did you mean {near[0]}?" if near else said

    def _ask(self, key: str, plugin: Plugin, hook: str, kind: type[_Spec]) -> list[_Spec]:
        """The specs of one plugin; what else it returns is reported."""
        answers: list[object] = []
        with _timed(plugin), self._guard(plugin, f"{hook} failed"):
            answers = self._answers(key, hook)
        for answer in answers:
            if not issubclass(type(answer), kind):
                self._fail(plugin, f"{hook} yielded {_shown(answer)}, which is no {kind.__name__}")
        return [answer for answer in answers if issubclass(type(answer), kind)]  # type: ignore[misc]

    def _answers(self, key: str, hook: str) -> list[object]:
        for answer in self._only(key, hook)():
            if not isinstance(answer, Iterable):
                raise TypeError(f"it returned {_shown(answer)}; return a list of specs, or yield them")
            return list(answer)
        if key in self._implementing(hook):
            raise TypeError("it returned None; return a list of specs, or yield them")
        return []

    def _decision(self, key: str, question: Question) -> Decision:
        began = time.perf_counter()
        answer, reason = self._decide(key, question)
        return Decision(
            plugin=self._loaded[key].name,
            distribution=self._loaded[key].distribution,
            hook=question.hook,
            about=question.about,
            answer=answer,
            reason=reason,
            ms=round(1000 * (time.perf_counter() - began)),
        )

    def _decide(self, key: str, question: Question) -> tuple[Any, str | None]:
        """The answer of one plugin's deciding hook, None where it has none that is acceptable, and what was
        wrong with it, which is reported too: the plugin is loaded all the same."""
        plugin, hook, given = self._loaded[key], question.hook, None
        with self._guard(plugin, f"{hook} failed for {question.about}", about=question.about) as failures:
            given = self._only(key, hook)(**question.arguments)
            if given is None or question.accept(given):
                return given, None
        if failures:
            return None, failures[0]
        refused = f"{hook} answered {_shown(given)} for {question.about}, which is no engine's name"
        return None, self._fail(plugin, refused, about=question.about)

    def _implementing(self, hook: str) -> list[str]:
        """The plugins that implement ``hook``, in the order in which pluggy asks them."""
        called: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return [each.plugin_name for each in reversed(called.get_hookimpls())]

    def _only(self, key: str, hook: str) -> pluggy.HookCaller:
        others = [self._manager.get_plugin(other) for other in self._loaded if other != key]
        return self._manager.subset_hook_caller(hook, others)

    @contextlib.contextmanager
    def _guard(self, plugin: Plugin, failure: str, *, about: str | None = None) -> Iterator[list[str]]:
        """Turn what a plugin's code raises into a report, whose reason joins the list; an interrupt is not
        the plugin's and passes."""
        failures: list[str] = []
        try:
            with warnings.catch_warnings():  # whose filters a plugin may change
                yield failures
        except BaseException as exc:  # a plugin may raise anything
            reason = f"{failure}: {one_line(fault_of(exc))}"
            failures.append(self._fail(plugin, reason, exc, about=about))

    def _fail(
        self,
        plugin: Plugin,
        reason: str,
        cause: BaseException | None = None,
        *,
        about: str | None = None,
    ) -> str:
        """Report what went wrong; the reason with its remedy."""
        wheel = None if cause is None else missing_wheel(cause, plugin.owner)
        remedy = f"upgrade or uninstall {plugin.owner}" if wheel is None else f"pip install {wheel}"
        reason = f"{reason}; {remedy}, or set LLADA_BLOCK_PLUGINS={plugin.owner}"
        self.report(plugin, _problem(plugin, reason), cause, about=about)
        return reason

    def _report_missing(self, environment: Environment) -> None:
        known = {canonicalize_name(name) for plugin in self.plugins for name in (plugin.name, plugin.owner)}
        allowed = environment.load_plugins or frozenset()
        for variable, names, correction in (
            ("LLADA_LOAD_PLUGINS", allowed, "install it or correct the variable"),
            ("LLADA_BLOCK_PLUGINS", environment.block_plugins, "correct the variable"),
        ):
            for name in sorted(names - known):
                near = closest(name, known, limit=1)
                remedy = f"did you mean {near[0]}? Correct the variable" if near else correction
                reason = f"{variable} names {name}, which is not installed; {remedy}"
                plugin = self._add(name, None)
                self.report(plugin, _problem(plugin, reason))
                warnings.warn(reason, PluginWarning, stacklevel=2)


@contextlib.contextmanager
def _timed(plugin: Plugin) -> Iterator[None]:
    """Count the time that the context takes as the plugin's."""
    began = time.perf_counter()
    try:
        yield
    finally:
        plugin.seconds = (plugin.seconds or 0.0) + time.perf_counter() - began


def _shown(answer: object) -> str:
    try:
        return reprlib.repr(answer)
    except BaseException as exc:  # its __repr__ is foreign code too
        return f"an object of {type(answer).__name__}, whose repr raises {one_line(fault_of(exc))}"


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
