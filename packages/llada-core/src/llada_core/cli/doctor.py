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

from llada_core import registry
from llada_core.checkpoints.config import ModelConfig
from llada_core.checkpoints.ends import EndToken, end_tokens_of
from llada_core.checkpoints.hub import read_config
from llada_core.checkpoints.options import DTYPES, LoadOptions
from llada_core.cli.checkup import asked, checkup, checkup_lines
from llada_core.cli.estimates import memory_of, steps_of
from llada_core.cli.options import MODEL, output_options, quantization_option, split_option, trust_option
from llada_core.cli.output import print_json, print_line
from llada_core.detection import EngineSkipped, detect_config
from llada_core.environment import read_environment
from llada_core.errors import IncompatibleEngine, ModelError, UnknownEngine
from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.machine import amount, free_main_memory, multiplies_bfloat16, processor
from llada_core.plugins.info import EngineInfo
from llada_core.plugins.installed import Installed

__all__ = ["doctor"]

_PACKAGES = (
    "llada-core", "llada-runtime", "llada-tiny", "llada-tiny-long", "torch", "transformers", "safetensors",
    "huggingface_hub",
)  # fmt: skip
_VARIABLES = ("HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES")  # besides all LLADA_*
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")


@click.command()
@click.option("--model", metavar="MODEL", help=f"Say what memory a model takes, and what fits. {MODEL}.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Of weights and cache.")
@quantization_option("Say it of weights in eight bits.")
@split_option("Say it of one of so many GPUs that share the model.")
@trust_option("Ask as if the code that comes with the model were trusted; it is not run.")
@output_options
def doctor(
    model: str | None,
    revision: str | None,
    dtype: str | None,
    quantization: str | None,
    tensor_parallel: int,
    trust_remote_code: bool,
    as_json: bool,
) -> None:
    """Say what runs here, what does not and why.

    Every target is imported, every detection hook asked, every engine probed. The exit status is 1 where
    something that was asked for, by --model or by a variable, cannot be had.
    """
    options = LoadOptions(dtype=dtype, quantization=quantization, tensor_parallel=tensor_parallel)
    config = None if model is None else read_config(model, revision=revision)
    report = {**_machine(), **checkup(None if config is None else config.fields)}
    report["asked"] = asked(read_environment(), report["plugins"])
    if config is not None:
        engine = _engine_of(config, trust_remote_code)
        report["model"] = _model(config, engine, options, report["devices"])
    if as_json:
        print_json(report)
    else:
        for line in _lines(report):
            print_line(line)
    if any(each["reason"] for each in report["asked"]) or not _is_told_of(report.get("model")):
        click.get_current_context().exit(1)


def _is_told_of(model: Mapping[str, Any] | None) -> bool:
    """Whether the model that was asked for, if any, can be run, and its memory is known."""
    return model is None or (model["memory"] is not None and model["engine_reason"] is None)


def _machine() -> dict[str, Any]:
    devices, reason = _devices()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": {"name": processor(), "multiplies_bfloat16": multiplies_bfloat16()},
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
    package = Installed().find(name)
    return None if package is None else package.version


def _devices() -> tuple[list[dict[str, Any]] | None, str | None]:
    """The CUDA devices, or None and the reason why they are not known."""
    try:
        return load_target("llada_core.cli.devices:cuda_devices")(), None
    except BaseException as exc:  # torch may be there without its libraries, or have been built for others
        remedy = "pip install torch" if _version("torch") is None else "pip install --force-reinstall torch"
        return None, f"torch cannot tell ({one_line(fault_of(exc))}); {remedy}"


def _graphs_reason(devices: list[dict[str, Any]] | None) -> str | None:
    """Why block steps do not run as CUDA graphs here; None where they do."""
    if not read_environment().graphs:
        return f"LLADA_GRAPHS={os.environ['LLADA_GRAPHS']}"
    return None if devices else "no CUDA device"


def _model(
    config: ModelConfig,
    found: tuple[EngineInfo | None, str | None],
    options: LoadOptions,
    devices: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """What the engine ``found`` for the model says of its memory, or why there is nothing to tell."""
    engine, reason = found
    size, dtype = options.tensor_parallel, str(options.dtype or ("bfloat16" if devices else "float32"))
    how = {"tensor_parallel": size} if size > 1 else {}
    eight = {"quantization": options.quantization} if options.quantization else {}
    memory: dict[str, Any] | None = None
    steps: tuple[str | None, str | None] = (None, None)
    if engine is not None:
        memory, reason = memory_of(
            engine, config.fields, dtype=dtype, available=_free(devices, size), **how, **eight
        )
        steps = steps_of(engine, config.fields, device="cuda" if devices else "cpu", dtype=dtype)
    return {
        "path": config.path,
        "tensor_parallel": size,
        "quantization": options.quantization,
        "engine": None if engine is None else engine.name,
        "engine_reason": None if engine is None else engine.reason,
        "memory": memory,
        "reason": reason,
        "steps": steps[0],
        "steps_reason": steps[1],
        **_ends(config),
    }


def _free(devices: list[dict[str, Any]] | None, size: int) -> int | None:
    """Bytes that are free for one of ``size`` ranks: on the fullest of the first GPUs, or its share of the
    main memory. None where there are not so many GPUs."""
    if not devices:
        return free_main_memory() // size
    return min(each["free"] for each in devices[:size]) if len(devices) >= size else None


def _ends(config: ModelConfig) -> dict[str, Any]:
    """The tokens that end the model's answers, or None and the reason why they cannot be told."""
    try:
        ends = end_tokens_of(config.path, config.fields, revision=config.revision)
    except ModelError as exc:
        return {"end_tokens": None, "end_tokens_reason": str(exc)}
    return {"end_tokens": [end.as_dict() for end in ends], "end_tokens_reason": None}


def _engine_of(config: ModelConfig, trust_remote_code: bool) -> tuple[EngineInfo | None, str | None]:
    """The engine that takes the model, be it unable to run here, or None and the reason why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EngineSkipped)  # the report says of each engine whether it runs
            detection = detect_config(
                config, check=not trust_remote_code, trust_remote_code=trust_remote_code
            )
    except (IncompatibleEngine, UnknownEngine) as exc:  # what LLADA_ENGINE names
        return None, str(exc)
    installed = [candidate.engine for candidate in detection.candidates if candidate.installed]
    name = detection.engine or next(iter(installed), None)
    return (None, detection.reason) if name is None else (registry.get_engine(name), None)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"python {report['python']} on {report['platform']}"
    for name, version in report["packages"].items():
        yield f"{name} {version or 'is not installed'}"
    yield from _device_lines(report)
    for name, value in report["environment"].items():
        yield f"{name}={value}"
    yield from checkup_lines(report)
    if "model" in report:
        yield from _model_lines(report["model"])


def _device_lines(report: Mapping[str, Any]) -> Iterator[str]:
    cpu = report["cpu"]
    fast = ", which multiplies bfloat16 fast (AMX): --dtype bfloat16" if cpu["multiplies_bfloat16"] else ""
    yield f"cpu: {cpu['name']}{fast}"
    if report["devices"] is None:
        yield f"devices: {report['devices_reason']}"
    elif not report["devices"]:
        yield "devices: cpu only"
    for index, device in enumerate(report["devices"] or ()):
        yield f"cuda:{index} {device['name']}, {amount(device['free'])} of {amount(device['total'])} free"
    because = report["graphs_reason"]
    yield "graphs: on" if because is None else f"graphs: off ({because})"


def _model_lines(model: Mapping[str, Any]) -> Iterator[str]:
    yield f"model {model['path']}" + (f", of the engine {model['engine']}" if model["engine"] else "")
    if model["engine_reason"]:
        yield f"  cannot run here: {model['engine_reason']}"
    yield from _memory_lines(model)
    if model["steps"]:
        yield f"  {model['steps']}"
    elif model["steps_reason"]:
        yield f"  how steps run cannot be told: {model['steps_reason']}"
    yield from _end_lines(model)


def _memory_lines(model: Mapping[str, Any]) -> Iterator[str]:
    if model["memory"] is None:
        yield f"  {model['reason']}"
        return
    memory = model["memory"]
    if model["tensor_parallel"] > 1:
        yield f"  on each of {model['tensor_parallel']} devices, and the logits on the first:"
    eight = f"{model['quantization']} and " if model["quantization"] else ""
    yield f"  weights          {amount(memory['weights'])} in {eight}{memory['dtype']}"
    yield f"  KV per token     {amount(memory['kv_per_token'])}"
    limit = f"at the limit of {memory['max_sequence_length']} tokens"
    yield f"  KV per row       {amount(memory['kv_per_row'])} {limit}"
    yield f"  logits per row   {amount(memory['logits_per_row'])}"
    if memory["columns_that_fit"] is not None:
        beside = f"of all rows together, in {amount(memory['available'])} free"
        yield f"  columns that fit {memory['columns_that_fit']} {beside}"
    if memory["rows_that_fit"] is not None:
        free = f"of full length, in {amount(memory['available'])} free"
        yield f"  rows that fit    {memory['rows_that_fit']} {free}"


def _end_lines(model: Mapping[str, Any]) -> Iterator[str]:
    if model["end_tokens"] is None:
        yield f"  ends of answers: {model['end_tokens_reason']}"
    elif not model["end_tokens"]:
        yield "  answers end at no token: none is declared"
    for end in model["end_tokens"] or ():
        yield f"  answers end at   {EndToken(**end)}"
