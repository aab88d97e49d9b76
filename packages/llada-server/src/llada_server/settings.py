"""What the server is told at its start, from flags, the environment and a file, in this order.

This module does not know what the settings do.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from llada_core.errors import UsageError
from llada_core.names import closest
from llada_core.parameters import parse_assignments

__all__ = [
    "CONFIG",
    "LEVELS",
    "OF_DCP",
    "PREFIX",
    "ServerSettings",
    "beneath",
    "from_environment",
    "from_file",
    "from_table",
]

PREFIX = "LLADA_SERVE_"
CONFIG = f"{PREFIX}CONFIG"  # names the file, and is no setting
OF_DCP = ("base_model", "dcp_prefix", "temp_dir")  # settings that say nothing without dcp_path
LEVELS = ("debug", "info", "warning", "error")
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_MOST = 2**31 - 1
_SECONDS = "seconds, 0 or more"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^][\sA-Z/:?#@]+)(:[0-9]{1,5})?")
# Lowest and highest value of a setting, and what is said of another one.
_RANGES: Mapping[str, tuple[float, float, str]] = {
    "port": (0, 65535, "one from 1 to 65535, or 0 for a free one"),
    "max_num_seqs": (1, _MOST, "1 or more"),
    "max_queue": (0, _MOST, "0 or more"),
    "max_body": (1, _MOST, "a number of bytes, 1 or more"),
    "max_model_len": (2, _MOST, "a number of tokens, 2 or more: one of the prompt, one of the answer"),
    "max_wait": (0, 3600, "seconds, 0 to 3600"),
    "keep_alive": (0, _MOST, "whole seconds, 0 or more"),
    "drain_timeout": (0, _MOST, _SECONDS),
    "request_timeout": (0, float("inf"), "seconds above 0; inf is no limit"),
    "tensor_parallel": (1, _MOST, "a number of devices, 1 or more"),
    "client_timeout": (0, _MOST, "seconds above 0"),
    "gpu_memory_utilization": (0, 1, "a share above 0, at most 1"),
}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server runs. Times are in seconds; None leaves a limit out unless said otherwise.

    Attributes:
        model, engine, device, dtype, trust_remote_code, revision, quantization, tensor_parallel: as of
            ``load_model``.
        dcp_path, base_model, dcp_prefix, temp_dir: weights of a ``torch.distributed.checkpoint``, as of
            ``load_dcp``.
        algorithm, parameters: what a request gets that names none.
        host, port, root_path, ssl_keyfile, ssl_certfile: where it listens.
        served_model_name: what clients call the model; None is the last part of its path.
        api_key: what requests must carry.
        cors_origins: pages of which origins may ask, ``*`` for all; none by default.
        max_num_seqs: requests that are decoded at a time.
        max_queue: requests that wait beside them; one more is refused with 429.
        max_wait: how long a request may wait for others to begin with it.
        request_timeout: how long a request may take altogether; ``inf`` is no limit.
        client_timeout: how long a client may take to send a request, and how long it may take nothing of what
            is sent to it; then its connection is closed.
        drain_timeout: how long running requests get when the server is asked to stop.
        keep_alive: how long an idle connection stays open.
        max_model_len: the longest prompt and answer together, in tokens; None is the model's limit.
        max_body: the largest body of a request, in bytes.
        gpu_memory_utilization: the share of all memory of the device that weights and cache may take
            together, above 0 and at most 1; None lets the cache take nine tenths of what is free.
        chat_template: a file whose template is used instead of the tokenizer's.
        use_chat_template: False sends the text of messages as it stands.
        log_level, log_requests, log_prompts: what is logged: a line for each request, and prompts and answers
            where asked for.
    """

    model: str | None = None
    engine: str | None = None
    device: str | None = None
    dtype: str | None = None
    trust_remote_code: bool = False
    revision: str | None = None
    quantization: str | None = None
    tensor_parallel: int = 1
    dcp_path: str | None = None
    base_model: str | None = None
    dcp_prefix: str | None = None
    temp_dir: str | None = None
    algorithm: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000
    root_path: str = ""
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    served_model_name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    max_num_seqs: int = 32
    max_queue: int = 256
    max_wait: float = 0.0
    request_timeout: float = 600.0
    client_timeout: float = 30.0
    drain_timeout: float = 30.0
    keep_alive: int = 5
    max_model_len: int | None = None
    max_body: int = 4 * 2**20
    gpu_memory_utilization: float | None = None
    chat_template: str | None = None
    use_chat_template: bool = True
    log_level: str = "info"
    log_requests: bool = True
    log_prompts: bool = False

    def __post_init__(self) -> None:
        for name, (lowest, highest, advice) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise UsageError(f"{name}={value} cannot be; give {advice}")
        for name in ("gpu_memory_utilization", "request_timeout", "client_timeout"):
            if getattr(self, name) == 0:
                raise UsageError(f"{name}=0 leaves nothing; give a number above 0")
        for name in ("api_key", "served_model_name", "host"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise UsageError(f"{name} is empty; give a text, or leave it out")
        if self.log_level not in LEVELS:
            raise UsageError(f"log_level={self.log_level!r} is none; give one of {', '.join(LEVELS)}")
        for origin in self.cors_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"cors_origins has {origin!r}, which is no origin; give scheme, host and port as "
                    "browsers send them, such as https://example.org, or * for all"
                )
        if self.root_path and not self.root_path.startswith("/"):
            raise UsageError(f"root_path={self.root_path!r} is no path; begin it with /")
        if (self.ssl_keyfile is None) is not (self.ssl_certfile is None):
            raise UsageError("of ssl_keyfile and ssl_certfile one is given; give both, or none")
        if self.dcp_path is not None and self.base_model is None and self.model is None:
            raise UsageError(
                "dcp_path is given without its base; give base_model, the model that was trained"
            )
        for name in OF_DCP:
            if self.dcp_path is None and getattr(self, name) is not None:
                raise UsageError(f"{name} is of dcp_path, which is not given; give it, or leave {name} out")
        if None not in (self.base_model, self.model) and self.base_model != self.model:
            raise UsageError(
                f"base_model is {self.base_model} and model {self.model}; beside dcp_path give one of them"
            )

    @property
    def named(self) -> str | None:
        """The model whose config is read, None for the embedded one: with ``dcp_path``, its base, which is
        never None."""
        return self.model if self.base_model is None else self.base_model

    @property
    def public(self) -> bool:
        """Whether other machines can reach it, as far as its address tells."""
        return self.host not in _LOCAL


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
