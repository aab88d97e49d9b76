"""Where settings come from besides flags: the environment, a file, and any other table.

This module does not know what the settings do.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from llada_core.errors import UsageError
from llada_core.names import closest
from llada_core.parameters import parse_assignments
from llada_server.settings import ServerSettings

__all__ = ["CONFIG", "PREFIX", "beneath", "from_environment", "from_file", "from_table"]

PREFIX = "LLADA_SERVE_"
CONFIG = f"{PREFIX}CONFIG"  # names the file, and is no setting
# What flags are called beside their settings, and what stands for each in a file.
_OTHER_NAMES: Mapping[str, str] = {
    "model_path": "model",
    "dllm_algorithm": "algorithm",
    "dcp": "dcp_path",
    "base": "base_model",
    "parameter": "parameters, a table",
    "max_running_requests": "max_num_seqs",
    "max_queued_requests": "max_queue",
    "timeout_keep_alive": "keep_alive",
    "context_length": "max_model_len",
    "mem_fraction_static": "gpu_memory_utilization",
    "tensor_parallel_size": "tensor_parallel",
    "cors_origin": "cors_origins, a list",
    "uvicorn_log_level": "log_level",
    "no_chat_template": "use_chat_template = false",
    "no_log_requests": "log_requests = false",
    "disable_log_requests": "log_requests = false",
}


def beneath(config: Path | None = None) -> dict[str, Any]:
    """The settings that hold where nothing else is given: those of the environment, and of the file, in this
    order. Raises ``UsageError``.

    Without ``config`` it is the file that ``LLADA_SERVE_CONFIG`` names, if it is set.
    """
    if config is None and os.environ.get(CONFIG):
        config = Path(os.environ[CONFIG])
    return {**(from_file(config) if config else {}), **from_environment()}


def from_environment(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The settings that ``LLADA_SERVE_…`` and ``LLADA_API_KEY`` give, by name. Raises ``UsageError``."""
    given = {
        name.removeprefix(PREFIX).lower(): (name, text)
        for name, text in environ.items()
        if name.startswith(PREFIX) and name != CONFIG and not _is_service_link(name, text, environ)
    }
    if "LLADA_API_KEY" in environ:
        given.setdefault("api_key", ("LLADA_API_KEY", environ["LLADA_API_KEY"]))
    return {name: _of_text(name, text, source) for name, (source, text) in given.items()}


def _is_service_link(name: str, text: str, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes set the variable, as it does in every pod beside a service called llada-serve."""
    if f"{PREFIX}SERVICE_HOST" not in environ:
        return False
    rest = name.removeprefix(PREFIX)
    return rest.startswith(("SERVICE_", "PORT_")) or (rest == "PORT" and "://" in text)


def from_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; names may be written with ``-``. Raises ``UsageError``."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{path} cannot be read as TOML: {exc}; correct it") from exc
    return from_table(told, str(path))


def from_table(
    told: Mapping[str, object], source: str, *, kind: type = ServerSettings, beside: Iterable[str] = ()
) -> dict[str, Any]:
    """The settings in a table, as of TOML or YAML; names may be written with ``-``. Raises ``UsageError``.

    Args:
        source: what the table is, for errors.
        kind: the dataclass whose fields they are.
        beside: other names that there are, for who mistyped one.
    """
    return {
        (name := _known(key.replace("-", "_"), source, kind, beside)): _of_table(name, value, source, kind)
        for key, value in told.items()
    }


def _known(name: str, source: str, kind: type = ServerSettings, beside: Iterable[str] = ()) -> str:
    names = [each.name for each in fields(kind)]
    if name in _OTHER_NAMES:
        raise UsageError(f"{source} sets {name}, which is a flag's name; set {_OTHER_NAMES[name]}")
    if name not in names:
        there = [*names, *beside]
        near = " or ".join(closest(name, there))
        advice = f"did you mean {near}?" if near else f"give one of {', '.join(there)}"
        raise UsageError(f"{source} sets {name}, which is no setting; {advice}")
    return name


_KINDS: dict[str, type] = {
    "bool": bool,
    "int": int,
    "int | None": int,
    "float": float,
    "float | None": float,
}
_CALLED: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a table",
}
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _of_text(name: str, text: str, source: str) -> Any:
    """The value that a variable's ``text`` stands for."""
    kind = {each.name: str(each.type) for each in fields(ServerSettings)}[_known(name, source)]
    wanted = _KINDS.get(kind)
    if kind.startswith("Mapping"):
        return parse_assignments(part for part in text.split(",") if part.strip())
    try:
        if wanted is bool:
            return _TRUTH[text.strip().lower()]
        if kind.startswith("tuple"):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return text if wanted is None else wanted(text)
    except (KeyError, ValueError) as exc:
        raise UsageError(f"{source}={text!r} cannot be read; give {_CALLED[wanted or str]}") from exc


def _of_table(name: str, value: object, source: str, kind: type) -> object:
    """The value that a table gives, known to be of the setting's kind."""
    declared = {each.name: str(each.type) for each in fields(kind)}[name]
    if declared.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise UsageError(f"{source} sets {name} to {value!r}; give a list of texts")
    if declared.startswith("Mapping"):
        wanted: tuple[type, ...] = (dict,)
    else:
        wanted = {int: (int,), float: (float, int), bool: (bool,)}.get(_KINDS.get(declared, str), (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise UsageError(f"{source} sets {name} to {value!r}; give {_CALLED[wanted[0]]}")
    return value
