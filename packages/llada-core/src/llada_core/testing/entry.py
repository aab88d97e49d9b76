"""Checks of the module that an entry point names, in interpreters of their own: it is light and silent."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llada_core.plugins.installed import EntryPoints
from llada_core.testing.checks import Check

__all__ = ["HEAVY", "entry_checks", "keys_without_torch"]

HEAVY = ("torch", "transformers", "safetensors", "numpy", "huggingface_hub", "llada_runtime")
"""What takes seconds to import, or brings it along."""

_MOST_SECONDS = 0.2
_TRIES = 5
# Imports the module as an entry point is, asks its contributing hooks, and tells of it on stderr's last line.
_PROGRAM = """
import functools, importlib, json, sys, time
began = time.perf_counter()
import llada_core, pluggy
from llada_core.plugins import hookspecs
core = time.perf_counter() - began
module, _, attribute = sys.argv[1].partition(":")
before, began = set(sys.modules), time.perf_counter()
plugin = functools.reduce(getattr, filter(None, attribute.split(".")), importlib.import_module(module))
host = pluggy.PluginManager(hookspecs.PROJECT)
host.add_hookspecs(hookspecs)
host.register(plugin)
contributing = ("engines", "algorithms", "rules", "policies", "commands", "wheels")
for name in map("llada_{}".format, contributing):
    for answer in getattr(host.hook, name)():
        list(answer or ())
seconds = time.perf_counter() - began
sys.stdout.flush()
told = {"core": core, "seconds": seconds, "modules": sorted(set(sys.modules) - before)}
sys.stderr.write("\\n" + json.dumps(told))
"""
# Imports a memory estimate, and asks it where there is a config, as llada doctor does where torch is missing.
_ESTIMATE = """
import json, sys
from types import MappingProxyType
sys.modules["torch"] = None
from llada_core.imports import load_target
estimate, config = load_target(sys.argv[1]), json.loads(sys.argv[2])
found = {}
if config is not None:
    found = estimate(MappingProxyType(config), dtype="float32", available=2**34).as_dict()
sys.stdout.flush()
sys.stderr.write("\\n" + json.dumps(sorted(found)))
"""


class _Imported:
    """What one fresh interpreter tells of the module, asked for once by all checks."""

    def __init__(self, target: str) -> None:
        self.target = target

    @functools.cached_property
    def first(self) -> Mapping[str, Any]:
        return _run(self.target)

    def fastest(self) -> Mapping[str, Any]:
        """The run of least time, of as many as it takes: a machine that is busy slows some, and none down."""
        runs = [self.first]
        while min(run["seconds"] for run in runs) >= _MOST_SECONDS and len(runs) < _TRIES:
            runs.append(_run(self.target))
        return min(runs, key=lambda run: float(run["seconds"]))


def entry_checks(offer: EntryPoints) -> Iterator[Check]:
    """The checks of the modules of a distribution's entry points."""
    imported = [_Imported(point.value) for point in offer.entry_points]
    yield "its entry module imports nothing heavy", lambda: _each(_is_light, imported)
    yield "its entry module prints nothing", lambda: _each(_is_silent, imported)
    yield f"its entry module takes less than {_MOST_SECONDS} s", lambda: _each(_is_fast, imported)


def keys_without_torch(target: str, config: Mapping[str, Any] | None) -> set[str]:
    """The keys of what the memory estimate that ``target`` names tells of a model of this ``config``, in an
    interpreter without torch; none where ``config`` is None, and it is only imported.

    Raises ``AssertionError`` where it fails there.
    """
    return set(_told([sys.executable, "-c", _ESTIMATE, target, json.dumps(config, default=dict)])[0])


def _each(check: Any, imported: Iterable[_Imported]) -> None:
    for each in imported:
        check(each)


def _is_light(imported: _Imported) -> None:
    heavy = [name for name in HEAVY if name in imported.first["modules"]]
    assert not heavy, (
        f"{imported.target} imports {', '.join(heavy)}, and is imported whenever anything is listed; name "
        "that code by 'module:attr' in the specs, and import nothing but llada_core"
    )


def _is_silent(imported: _Imported) -> None:
    printed = imported.first["printed"].strip()
    assert not printed, (
        f"{imported.target} prints {printed[:80]!r} when it is imported or asked for its specs; "
        "leave that out"
    )


def _is_fast(imported: _Imported) -> None:
    run = imported.fastest()
    assert run["seconds"] < _MOST_SECONDS, (
        f"{imported.target} took {run['seconds']:.2f} s at best of {_TRIES}, where llada_core itself took "
        f"{run['core']:.2f} s; import nothing but llada_core, and compute when asked"
    )


def _run(target: str) -> Mapping[str, Any]:
    told, printed = _told([sys.executable, "-c", _PROGRAM, target])
    return {**told, "printed": printed}


def _told(command: list[str]) -> tuple[Any, str]:
    """What a program says in the last line of stderr, and what was printed besides."""
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    lines = done.stderr.rstrip().splitlines()
    assert done.returncode == 0, (
        f"in an interpreter of its own it fails: {lines[-1] if lines else done.returncode}; mend that"
    )
    return json.loads(lines[-1]), done.stdout + "\n".join(lines[:-1])
