"""What ``doctor`` finds out about plugins: each target imported and timed, each detection hook asked, each
engine probed, each algorithm made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from llada_core import registry
from llada_core.cli.output import availability
from llada_core.environment import Environment
from llada_core.errors import UnknownAlgorithm, UnknownEngine
from llada_core.plugins.requirements import import_failure

__all__ = ["asked", "checkup", "checkup_lines"]


def checkup(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The report's part on plugins; detection hooks are asked about ``config``, without one about an invented
    model."""
    imports = [_import(target, owner) for target, owner in registry.shared().targets()]
    hooks = registry.shared().decisions(config)
    engines = [_engine(name) for name in registry.list_engines()]
    algorithms = [_algorithm(name) for name in registry.list_algorithms()]
    return {
        "plugins": [status.as_dict() for status in registry.plugin_statuses()],
        "imports": imports,
        "hooks": [hook.as_dict() for hook in hooks],
        "engines": engines,
        "algorithms": algorithms,
    }


def asked(environment: Environment, plugins: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """What the user's variables ask for, each with the reason why it cannot be had, or None."""
    found = []
    if environment.engine is not None:
        found.append(
            {"what": f"LLADA_ENGINE={environment.engine}", "reason": _why_no_engine(environment.engine)}
        )
    if environment.algorithm is not None:
        reason = _why_no_algorithm(environment.algorithm)
        found.append({"what": f"LLADA_ALGORITHM={environment.algorithm}", "reason": reason})
    for name in sorted(environment.load_plugins or ()):
        found.append({"what": f"{name} in LLADA_LOAD_PLUGINS", "reason": _why_broken(name, plugins)})
    for name in sorted(environment.block_plugins):
        found.append({"what": f"{name} in LLADA_BLOCK_PLUGINS", "reason": _why_broken(name, plugins)})
    return found


def checkup_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    for plugin in report["plugins"]:
        origin = f" of {plugin['distribution']} {plugin['version']}" if plugin["distribution"] else ""
        took = "" if plugin["load_ms"] is None else f" in {plugin['load_ms']} ms"
        because = f": {plugin['reason']}" if plugin["reason"] else ""
        yield f"plugin {plugin['name']}{origin}: {plugin['status']}{took}{because}"
        yield from (f"  {warning}" for warning in plugin["warnings"])
    for each in report["imports"]:
        yield f"import {each['target']}: " + (each["reason"] or f"{each['ms']} ms")
    for hook in report["hooks"]:
        said = hook["reason"] or f"{hook['answer'] or 'no answer'} ({hook['ms']} ms)"
        yield f"hook {hook['hook']} of {hook['plugin']}, asked about {hook['about']}: {said}"
    for kind in ("engine", "algorithm"):
        for each in report[f"{kind}s"]:
            yield f"{kind} {each['name']}: available {availability(each['reason'])}"
    for each in report["asked"]:
        yield f"{each['what']}: {each['reason'] or 'as asked'}"


def _import(target: str, owner: str) -> dict[str, Any]:
    began = time.perf_counter()
    reason = import_failure(target, owner)
    ms = round(1000 * (time.perf_counter() - began))
    return {"target": target, "distribution": owner, "ms": ms, "reason": reason}


def _engine(name: str) -> dict[str, Any]:
    registry.diagnose_engine(name)
    return registry.get_engine(name).as_dict()


def _algorithm(name: str) -> dict[str, Any]:
    reason = registry.diagnose_algorithm(name)
    info = registry.get_algorithm_info(name)
    return {
        "name": name,
        "engine": info.engine,
        "distribution": info.distribution,
        "available": reason is None,
        "reason": reason,
    }


def _why_no_engine(name: str) -> str | None:
    try:
        return registry.diagnose_engine(name)
    except UnknownEngine as exc:
        return str(exc)


def _why_no_algorithm(name: str) -> str | None:
    try:
        return registry.diagnose_algorithm(name)
    except UnknownAlgorithm as exc:
        return str(exc)


def _why_broken(name: str, plugins: Sequence[Mapping[str, Any]]) -> str | None:
    """Why a plugin that a variable names, by its name or its distribution's, is not as it says."""
    reasons = [
        plugin["reason"]
        for plugin in plugins
        if plugin["status"] == "broken"
        and name in (canonicalize_name(plugin["name"]), canonicalize_name(plugin["distribution"] or ""))
    ]
    return "; ".join(reasons) or None
