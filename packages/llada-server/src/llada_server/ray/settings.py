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

__all__ = ["PoolSettings", "settings_of"]

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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The replicas.

    Attributes:
        num_replicas: so many, always; None is one, or with ``max_replicas`` as many as are needed.
        min_replicas, max_replicas: bounds of autoscaling, which there is where the latter is given. The least
            is 1 unless given; 0 lets the last one go while nobody asks.
        target_ongoing_requests: requests of a replica, running and waiting, that autoscaling aims at; None is
            what it decodes at a time.
        cpus_per_replica: cores that each has to itself; more than one is a whole number.
        gpus_per_replica: GPUs that each has to itself; None is as many as share a model, where the cluster
            has GPUs and the settings do not name the CPU.
        ingress_replicas: processes that requests pass before they come to a replica; they hold no model.
    """

    num_replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    target_ongoing_requests: float | None = None
    cpus_per_replica: float = 1.0
    gpus_per_replica: float | None = None
    ingress_replicas: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("num_replicas", 1),
            ("min_replicas", 0),
            ("max_replicas", 1),
            ("ingress_replicas", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name}={value} cannot be; give {least} or more")
        for name in ("cpus_per_replica", "gpus_per_replica"):
            value = getattr(self, name)
            if value is not None and (value < 0 or (value > 1 and value != int(value))):
                raise UsageError(f"{name}={value} cannot be; give 0 to 1, or a whole number")
        if self.target_ongoing_requests is not None and self.target_ongoing_requests <= 0:
            raise UsageError(
                f"target_ongoing_requests={self.target_ongoing_requests} cannot be; give a number above 0"
            )
        self._check_autoscaling()

    def _check_autoscaling(self) -> None:
        if self.max_replicas is None:
            for name in ("min_replicas", "target_ongoing_requests"):
                if getattr(self, name) is not None:
                    raise UsageError(f"{name} is of autoscaling, which max_replicas asks for; give it too")
        elif self.num_replicas is not None:
            raise UsageError(
                f"num_replicas={self.num_replicas} and max_replicas={self.max_replicas} cannot both be; give "
                "one of them"
            )
        elif self.max_replicas < self.least:
            raise UsageError(
                f"max_replicas={self.max_replicas} is less than min_replicas={self.least}; give a larger one"
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
