"""The command ``doctor``: what runs here, what does not and why, and how much memory a model takes.

Works without torch too, and says then what it cannot tell.
"""

from __future__ import annotations

import os
import platform
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import click
import importlib_metadata

from llada_core import registry
from llada_core.checkpoints.config import ModelConfig
from llada_core.checkpoints.hub import read_config
from llada_core.cli.options import output_options
from llada_core.cli.output import availability, print_json
from llada_core.detection import EngineSkipped, detect_config
from llada_core.environment import read_environment
from llada_core.errors import IncompatibleEngine, UnknownEngine, one_line
from llada_core.imports import load_target
from llada_core.plugins.info import EngineInfo

__all__ = ["doctor"]

_PACKAGES = (
    "llada-core", "llada-runtime", "llada-tiny", "torch", "transformers", "safetensors", "huggingface_hub",
)  # fmt: skip
_VARIABLES = ("HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES")  # besides all LLADA_*
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
_MEMORY = (
    "dtype", "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length", "available",
    "rows_that_fit",
)  # fmt: skip


@click.command()
@click.option("--model", metavar="PATH|ID", help="Say what memory this model takes, and what fits.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id.")
@click.option("--dtype", type=click.Choice(("float32", "bfloat16", "float16")), help="Of weights and cache.")
@output_options
def doctor(model: str | None, revision: str | None, dtype: str | None, as_json: bool) -> None:
    """Say what runs here, what does not and why.

    The exit status is 1 where the memory of --model cannot be told.
    """
    report = _machine()
    report["plugins"] = [status.as_dict() for status in registry.plugin_statuses()]
    report["engines"] = [_engine(name) for name in registry.list_engines()]
    if model is not None:
        report["model"] = _model(model, revision, dtype, report["devices"])
    if as_json:
        print_json(report)
    else:
        for line in _lines(report):
            click.echo(line)
    if model is not None and report["model"]["memory"] is None:
        click.get_current_context().exit(1)


def _machine() -> dict[str, Any]:
    devices, reason = _devices()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": devices,
        "devices_reason": reason,
        "graphs_reason": _graphs_reason(devices),
        "environment": _environment(),
    }


def _environment() -> dict[str, str]:
    """The variables that change what llada does, ours first; of one that holds a secret, that it is set."""
    ours = sorted(name for name in os.environ if name.startswith("LLADA_"))
    names = (*ours, *(name for name in _VARIABLES if name in os.environ))
    return {name: "(set)" if _SECRET.search(name) else os.environ[name] for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib_metadata.version(name)
    except importlib_metadata.PackageNotFoundError:
        return None


def _devices() -> tuple[list[dict[str, Any]] | None, str | None]:
    """The CUDA devices, or None and the reason why they are not known."""
    try:
        return load_target("llada_core.cli.devices:cuda_devices")(), None
    except (ImportError, OSError, RuntimeError) as exc:  # OSError: torch is there and its libraries are not
        return None, f"torch cannot tell ({exc}); pip install torch"


def _graphs_reason(devices: list[dict[str, Any]] | None) -> str | None:
    """Why block steps do not run as CUDA graphs here; None where they do."""
    if not read_environment().graphs:
        return f"LLADA_GRAPHS={os.environ['LLADA_GRAPHS']}"
    return None if devices else "no CUDA device"


def _engine(name: str) -> dict[str, Any]:
    """The facts of an engine, with its probe run: listing does not."""
    reason = registry.diagnose_engine(name)
    return {**registry.get_engine(name).as_dict(), "available": reason is None, "reason": reason}


def _model(
    model: str, revision: str | None, dtype: str | None, devices: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """What the engine that takes the model says of its memory, or why there is nothing to tell."""
    config = read_config(model, revision=revision)
    engine, reason = _engine_of(config)
    memory = None
    if engine is not None:
        memory, reason = _memory(
            engine,
            config.fields,
            dtype=dtype or ("bfloat16" if devices else "float32"),
            available=devices[0]["free"] if devices else _free_memory(),
        )
    return {
        "path": model,
        "engine": None if engine is None else engine.name,
        "memory": memory,
        "reason": reason,
    }


def _engine_of(config: ModelConfig) -> tuple[EngineInfo | None, str | None]:
    """The engine that takes the model, be it unable to run here, or None and the reason why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EngineSkipped)  # the report says of each engine whether it runs
            detection = detect_config(config)
    except (IncompatibleEngine, UnknownEngine) as exc:  # what LLADA_ENGINE names
        return None, str(exc)
    installed = [candidate.engine for candidate in detection.candidates if candidate.installed]
    name = detection.engine or next(iter(installed), None)
    return (None, detection.reason) if name is None else (registry.get_engine(name), None)


def _memory(
    engine: EngineInfo, config: Mapping[str, Any], *, dtype: str, available: int | None
) -> tuple[dict[str, Any] | None, str | None]:
    """The engine's estimate, or None and the reason why there is none."""
    target = engine.spec.memory
    if target is None:
        remedy = "reckon with the size of its weight files at least"
        return None, f"the engine {engine.name} does not estimate the memory that a model takes; {remedy}"
    upgrade = f"pip install --upgrade {engine.distribution or engine.name}"
    try:
        estimate = load_target(target)
    except (Exception, SystemExit) as exc:  # a plugin's module may raise anything
        return None, f"the memory it takes cannot be told ({one_line(exc)}); {upgrade}"
    try:
        memory: dict[str, Any] = dict(estimate(config, dtype=dtype, available=available).as_dict())
        missing = ", ".join(key for key in _MEMORY if not _is_told(key, memory.get(key)))
    except ValueError as exc:
        return None, str(exc)
    except (Exception, SystemExit) as exc:  # and so may its function
        return None, f"{target} failed: {one_line(exc)}; {upgrade}"
    return (None, f"{target} does not tell {missing}; {upgrade}") if missing else (memory, None)


def _is_told(key: str, value: object) -> bool:
    """Whether a figure of an estimate is there; what is free, and so what fits, may be unknown."""
    if key == "dtype":
        return isinstance(value, str)
    return isinstance(value, int) or (value is None and key in ("available", "rows_that_fit"))


def _free_memory() -> int | None:
    """Bytes of main memory that are free, where the system says."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"python {report['python']} on {report['platform']}"
    for name, version in report["packages"].items():
        yield f"{name} {version or 'is not installed'}"
    yield from _device_lines(report)
    for name, value in report["environment"].items():
        yield f"{name}={value}"
    for plugin in report["plugins"]:
        origin = f"{plugin['distribution']} {plugin['version']}"
        because = f": {plugin['reason']}" if plugin["reason"] else ""
        yield f"plugin {plugin['name']} of {origin}: {plugin['status']}{because}"
    for engine in report["engines"]:
        yield f"engine {engine['name']}: available {availability(engine['reason'])}"
    if "model" in report:
        yield from _model_lines(report["model"])


def _device_lines(report: Mapping[str, Any]) -> Iterator[str]:
    if report["devices"] is None:
        yield f"devices: {report['devices_reason']}"
    elif not report["devices"]:
        yield "devices: cpu only"
    for index, device in enumerate(report["devices"] or ()):
        yield f"cuda:{index} {device['name']}, {_size(device['free'])} of {_size(device['total'])} free"
    because = report["graphs_reason"]
    yield "graphs: on" if because is None else f"graphs: off ({because})"


def _model_lines(model: Mapping[str, Any]) -> Iterator[str]:
    yield f"model {model['path']}" + (f", of the engine {model['engine']}" if model["engine"] else "")
    if model["memory"] is None:
        yield f"  {model['reason']}"
        return
    memory = model["memory"]
    yield f"  weights          {_size(memory['weights'])} in {memory['dtype']}"
    yield f"  KV per token     {_size(memory['kv_per_token'])}"
    limit = f"at the limit of {memory['max_sequence_length']} tokens"
    yield f"  KV per row       {_size(memory['kv_per_row'])} {limit}"
    yield f"  logits per row   {_size(memory['logits_per_row'])}"
    if memory["rows_that_fit"] is not None:
        free = f"of full length, in {_size(memory['available'])} free"
        yield f"  rows that fit    {memory['rows_that_fit']} {free}"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
