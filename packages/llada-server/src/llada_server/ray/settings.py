"""How many replicas there are and what each has, beside the settings of the server that each one is.

This module knows no Ray.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from llada_core.errors import UsageError
from llada_server.given import beneath, from_table
from llada_server.settings import ServerSettings

__all__ = ["PoolSettings", "check_device", "settings_of"]

_log = logging.getLogger(__name__)
_SOURCE = "args"
# What is not of an application, and what of Serve's configuration stands for it: connections are Ray's.
_ELSEWHERE: Mapping[str, str] = {
    "replicas": "num_replicas, among the args",
    "host": "host, among its http_options",
    "port": "port, among its http_options",
    "ssl_keyfile": "ssl_keyfile, among its http_options",
    "ssl_certfile": "ssl_certfile, among its http_options",
    "keep_alive": "keep_alive_timeout_s, among its http_options",
    "root_path": "route_prefix of the application, or root_path among the http_options",
}
_MOST = 2**31 - 1
_SECONDS = "seconds, 0 or more"
_RANGES: Mapping[str, tuple[int, str]] = {
    "num_replicas": (1, "1 or more"),
    "min_replicas": (0, "0 or more"),
    "max_replicas": (1, "1 or more"),
    "initial_replicas": (0, "0 or more"),
    "ingress_replicas": (1, "1 or more"),
    "target_ongoing_requests": (0, "a number above 0"),
    "upscale_delay_s": (0, _SECONDS),
    "downscale_delay_s": (0, _SECONDS),
    "cpus_per_replica": (0, "0 to 1, or a whole number"),
    "gpus_per_replica": (0, "0 to 1, or a whole number"),
}
_OF_AUTOSCALING = (
    "min_replicas",
    "initial_replicas",
    "target_ongoing_requests",
    "upscale_delay_s",
    "downscale_delay_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The replicas.

    Attributes:
        num_replicas: so many, always; None is one, or with ``max_replicas`` as many as are needed.
        min_replicas, max_replicas: bounds of autoscaling, which there is where the latter is given. The least
            is 1 unless given; 0 lets the last one go while nobody asks.
        initial_replicas: how many are started at first; None is the least.
        target_ongoing_requests: requests of a replica, running and waiting, that autoscaling aims at; None is
            what it decodes at a time.
        upscale_delay_s, downscale_delay_s: seconds that more or fewer must have been needed; None is what
            Serve takes, 30 and 600.
        cpus_per_replica: cores that each has to itself; more than one is a whole number.
        gpus_per_replica: GPUs that each has to itself; None is as many as share a model, or none where the
            settings name the CPU, or no device and the cluster has no GPU when the application is built.
        ingress_replicas: processes that requests pass before they come to a replica; they hold no model.
    """

    num_replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    initial_replicas: int | None = None
    target_ongoing_requests: float | None = None
    upscale_delay_s: float | None = None
    downscale_delay_s: float | None = None
    cpus_per_replica: float = 1.0
    gpus_per_replica: float | None = None
    ingress_replicas: int = 1

    def __post_init__(self) -> None:
        for name, (lowest, advice) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= _MOST:
                raise UsageError(f"{name}={value} cannot be; give {advice}")
        for name in ("cpus_per_replica", "gpus_per_replica"):
            value = getattr(self, name)
            if value is not None and value > 1 and value != int(value):
                raise UsageError(f"{name}={value} cannot be; give 0 to 1, or a whole number")
        if self.target_ongoing_requests == 0:
            raise UsageError("target_ongoing_requests=0 cannot be; give a number above 0")
        self._check_autoscaling()

    def _check_autoscaling(self) -> None:
        """Refuse what says nothing without autoscaling, and bounds that are none."""
        if self.max_replicas is None:
            for name in _OF_AUTOSCALING:
                if getattr(self, name) is not None:
                    raise UsageError(f"{name} is of autoscaling, which max_replicas asks for; give it too")
            return
        if self.num_replicas is not None:
            raise UsageError(
                f"num_replicas={self.num_replicas} and max_replicas={self.max_replicas} cannot both be; give "
                "one of them"
            )
        if self.max_replicas < self.least:
            raise UsageError(
                f"max_replicas={self.max_replicas} is less than min_replicas={self.least}; give a larger one"
            )
        first = self.initial_replicas
        if first is not None and not self.least <= first <= self.max_replicas:
            raise UsageError(
                f"initial_replicas={first} cannot be; give {self.least} to {self.max_replicas}, its bounds"
            )

    @property
    def least(self) -> int:
        """How many replicas there always are."""
        if self.max_replicas is None:
            return self.num_replicas or 1
        return 1 if self.min_replicas is None else self.min_replicas

    @property
    def most(self) -> int:
        """How many replicas there may be."""
        return self.max_replicas or self.num_replicas or 1


def settings_of(args: Mapping[str, Any]) -> tuple[ServerSettings, PoolSettings]:
    """The settings that the arguments of an application make, over those of the environment and the file.

    Raises ``UsageError``, also for what is not of an application.
    """
    ours = {each.name for each in fields(PoolSettings)}
    given = {name.replace("-", "_"): value for name, value in args.items()}
    told = from_table(
        {name: value for name, value in given.items() if name not in ours}, _SOURCE, beside=sorted(ours)
    )
    for name, instead in _ELSEWHERE.items():
        if name in told:
            raise UsageError(
                f"{_SOURCE} sets {name}, which is none of an application; set {instead} of Serve's file"
            )
    pool = from_table(
        {name: value for name, value in given.items() if name in ours}, _SOURCE, kind=PoolSettings
    )
    return ServerSettings(**{**_of_ours(beneath()), **told}), PoolSettings(**pool)


def _of_ours(found: dict[str, Any]) -> dict[str, Any]:
    """What the environment and the file set for an application; what is left out is said."""
    for name, instead in _ELSEWHERE.items():
        if name in found:
            _log.warning("%s is none of an application; set %s of Serve's file", name, instead)
            del found[name]
    return found


def check_device(device: str | None, *, told: str, each: str) -> None:
    """Refuse a device by number, of which ``each`` has its own; ``told`` is what it is given by. Raises
    ``UsageError``."""
    if device is not None and ":" in device:
        raise UsageError(
            f"{told}{device} cannot be: Ray gives each {each} its own devices; name the kind alone, as "
            f"{device.partition(':')[0]}"
        )
