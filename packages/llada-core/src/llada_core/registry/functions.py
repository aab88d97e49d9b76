"""The registry: engines, algorithms and their parts by name. These functions share one ``Registry``.

It is made at the first question, so that importing this module loads no plugin.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from llada_core.errors import LladaError, UnknownAlgorithm
from llada_core.plugins.info import AlgorithmInfo, EngineInfo, PartInfo
from llada_core.plugins.specs import CommandSpec, EngineSpec
from llada_core.plugins.status import PluginStatus
from llada_core.registry.registry import Registry

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = [
    "diagnose_algorithm",
    "diagnose_engine",
    "get_algorithm",
    "get_algorithm_info",
    "get_default_algorithm_for_engine",
    "get_engine",
    "get_policy_info",
    "get_rule_info",
    "list_algorithms",
    "list_algorithms_by_engine",
    "list_available_algorithms",
    "list_available_algorithms_by_engine",
    "list_commands",
    "list_engines",
    "list_policies",
    "list_rules",
    "load_engine_class",
    "load_policy",
    "load_rule",
    "plugin_statuses",
    "register_algorithm",
    "register_engine",
    "reload",
    "shared",
    "using",
]

_Default = TypeVar("_Default")
_RAISE = object()


class _Shared:
    """The one owner of the shared registry: makes it once, whichever thread asks first."""

    def __init__(self) -> None:
        self.registry: Registry | None = None
        self._lock = threading.RLock()
        self._making = False

    def get(self) -> Registry:
        with self._lock:
            if self.registry is None:
                self.registry = self._make()
            return self.registry

    def _make(self) -> Registry:
        if self._making:  # by this thread: the lock keeps others out
            raise LladaError(
                "plugins are being loaded; ask the registry after the import, not during it, and contribute "
                "algorithms and engines by hooks"
            )
        self._making = True
        try:
            return Registry()
        finally:
            self._making = False


_shared = _Shared()


def shared() -> Registry:
    """The registry that the functions of this module share."""
    return _shared.registry or _shared.get()


@contextlib.contextmanager
def using(registry: Registry | None) -> Iterator[None]:
    """Share ``registry`` instead while the context lasts (None: one made anew), in all threads. For tests."""
    before, _shared.registry = _shared.registry, registry
    try:
        yield
    finally:
        _shared.registry = before


def reload() -> None:
    """Forget everything, algorithms registered at run time too; the next question loads the plugins again.

    For a running program into which a plugin has just been installed.
    """
    importlib.invalidate_caches()
    _shared.registry = None


@overload
def get_algorithm(name: str) -> GenerationAlgorithm: ...
@overload
def get_algorithm(name: str, default: _Default) -> GenerationAlgorithm | _Default: ...
def get_algorithm(name: str, default: Any = _RAISE) -> Any:
    """A fresh object of the algorithm with this name or alias.

    An algorithm that cannot run here is an object too: ``is_available()`` is False, ``unavailable_reason``
    says why, and its work raises ``AlgorithmUnavailable``. An unknown name gives ``default`` where there is
    one, as ``getattr`` does, and else raises ``UnknownAlgorithm``.
    """
    try:
        return shared().create(name)
    except UnknownAlgorithm:
        if default is _RAISE:
            raise
        return default


def get_algorithm_info(name: str) -> AlgorithmInfo:
    """The facts of the algorithm with this name or alias, without importing it. Raises
    ``UnknownAlgorithm``."""
    return shared().algorithm(name)


def list_algorithms() -> list[str]:
    """The names of all algorithms, sorted, whether they can run here or not."""
    return shared().algorithms()


def list_available_algorithms() -> list[str]:
    """The names of the algorithms that can run here, sorted."""
    return shared().algorithms(available=True)


def list_algorithms_by_engine(engine: str) -> list[str]:
    """The names of the engine's algorithms, sorted. Raises ``UnknownEngine``."""
    return shared().algorithms(engine=engine)


def list_available_algorithms_by_engine(engine: str) -> list[str]:
    """The names of the engine's algorithms that can run here, sorted. Raises ``UnknownEngine``."""
    return shared().algorithms(engine=engine, available=True)


def get_default_algorithm_for_engine(engine: str) -> str:
    """The name of the engine's default algorithm. Raises ``UnknownEngine``."""
    return shared().engine(engine).default_algorithm


def list_engines() -> list[str]:
    """The names of the engines, sorted, whether they can run here or not."""
    return shared().engines()


def get_engine(name: str) -> EngineInfo:
    """The facts of the engine with this name or alias, without importing it. Raises ``UnknownEngine``."""
    return shared().engine(name)


def load_engine_class(name: str) -> Any:
    """The class that the engine's target names, imported.

    Raises ``UnknownEngine``, and ``EngineUnavailable`` where it cannot run here.
    """
    return shared().load_engine_class(name)


def list_rules() -> list[str]:
    """The names of all commit rules that can be composed by name, sorted, usable here or not."""
    return shared().parts.names("rule")


def list_policies() -> list[str]:
    """The names of all cache policies that can be composed by name, sorted, usable here or not."""
    return shared().parts.names("policy")


def get_rule_info(name: str) -> PartInfo:
    """The facts of the rule with this name or alias, without importing it. Raises ``UnknownPart``."""
    return shared().parts.info("rule", name)


def get_policy_info(name: str) -> PartInfo:
    """The facts of the policy with this name or alias, without importing it. Raises ``UnknownPart``."""
    return shared().parts.info("policy", name)


def load_rule(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The function, imported, that makes a ``llada_runtime.Rule`` of effective parameters.

    What it is to be called with, ``get_rule_info(name).effective`` finds among an algorithm's values.
    Raises ``UnknownPart``, and ``PartUnavailable`` where it cannot be imported here.
    """
    return shared().parts.load("rule", name)  # type: ignore[no-any-return]


def load_policy(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The function, imported, that makes a ``llada_runtime.Policy`` of effective parameters.

    What it is to be called with, ``get_policy_info(name).effective`` finds among an algorithm's values.
    Raises ``UnknownPart``, and ``PartUnavailable`` where it cannot be imported here.
    """
    return shared().parts.load("policy", name)  # type: ignore[no-any-return]


def diagnose_algorithm(name: str) -> str | None:
    """Why the algorithm cannot run here once it is imported and its engine probed, or None."""
    return shared().algorithm(name, use=True).reason


def diagnose_engine(name: str) -> str | None:
    """Why the engine cannot run here once it is imported and probed, or None."""
    return shared().engine(name, use=True).reason


def register_algorithm(
    algorithm: Any, aliases: Iterable[str] = (), *, parts: bool = False
) -> Callable[[], None]:
    """Register a class or an instance of ``GenerationAlgorithm`` without a wheel; returns what undoes it.

    ``name``, ``engine``, ``description``, ``aliases`` and ``parameters`` are its attributes; one that names
    no engine is an engine of its own name too. With ``parts`` it takes the parameters of all installed rules
    and policies besides, as ``AlgorithmSpec(parts=True)`` does.

    ``get_algorithm`` calls a class without arguments; of an instance it gives shallow copies that have no
    model loaded. Registering the same class again, or one that is written in its place (of the same module
    and qualified name, as in a notebook's cell), replaces it.
    Raises ``UsageError`` where a name is taken by anything else, nobody has its engine, or this is no
    algorithm, and ``InvalidSpec`` where the attributes do not make a spec, or ``generate`` cannot be
    called with those parameters; where it cannot with those of the parts, it cannot run, with the reason.
    """
    return shared().register(algorithm, aliases, parts=parts)


def register_engine(spec: EngineSpec) -> Callable[[], None]:
    """Register an engine with its algorithms without a wheel; returns what undoes it.

    Its targets must be importable; one of the same name and target is replaced. Algorithms that others
    registered for it stay when it is undone, and cannot run. Raises ``UsageError`` where one of the names is
    taken by anything else, or a target cannot be imported.
    """
    return shared().register_engine(spec)


def list_commands() -> list[CommandSpec]:
    """The subcommands of the ``llada`` program that plugins contribute, sorted by name."""
    return shared().commands()


def plugin_statuses() -> list[PluginStatus]:
    """What became of each plugin: loaded, blocked or broken, with the reason; sorted by distribution."""
    return shared().statuses()
