"""What the server is told at its start.

This module does not know what the settings do, and ``given`` where they come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from llada_core.errors import UsageError

__all__ = ["LEVELS", "OF_DCP", "ServerSettings"]

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
    "replicas": (1, _MOST, "1 or more"),
    "client_timeout": (0, _MOST, "seconds above 0"),
    "gpu_memory_utilization": (0, 1, "a share above 0, at most 1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server runs. Times are in seconds; None leaves a limit out unless said otherwise.

    Attributes:
        model, engine, device, dtype, trust_remote_code, revision, quantization, tensor_parallel: as of
            ``load_model``.
        dcp_path, base_model, dcp_prefix, temp_dir: weights of a ``torch.distributed.checkpoint``, as of
            ``load_dcp``.
        replicas: so many copies of the model, each in a process of its own, answer; None is one, in this
            process.
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
    replicas: int | None = None
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
