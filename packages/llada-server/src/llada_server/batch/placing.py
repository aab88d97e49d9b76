"""How many workers a cluster has place for, and what each of them has of it.

This module knows no Ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llada_core.errors import UsageError
from llada_server.ray.settings import PoolSettings, check_device
from llada_server.settings import ServerSettings

__all__ = ["Machine", "placed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One of the cluster: its whole cores and GPUs."""

    cpus: int
    gpus: int


def placed(machines: Sequence[Machine], settings: ServerSettings, *, replicas: int | None) -> PoolSettings:
    """So many replicas, with the same of the cluster each. None: one a GPU, or as many GPUs as share a model;
    without GPUs, one a machine.

    The cores of a machine are divided equally between those that are on it. Raises ``UsageError`` where there
    are fewer places.
    """
    each = _gpus(machines, settings)
    room = [_most(machine, gpus=each) for machine in machines]
    if replicas is None:
        replicas = sum(room) if each else sum(map(bool, room))
    if not 0 < replicas <= sum(room):
        what = f"{each} GPUs and a core" if each else "a core"
        raise UsageError(
            f"{replicas or 1} replicas need {what} each, and the cluster has place for {sum(room)}; give a "
            "smaller --replicas, or a larger cluster"
        )
    cores = max(1, min(m.cpus for m, most in zip(machines, room, strict=True) if most))
    while cores > 1 and sum(_most(m, gpus=each, cpus=cores) for m in machines) < replicas:
        cores -= 1
    return PoolSettings(num_replicas=replicas, cpus_per_replica=cores, gpus_per_replica=each)


def _most(machine: Machine, *, gpus: int, cpus: int = 1) -> int:
    """How many replicas the machine takes that have so much each."""
    return min(machine.cpus // cpus, machine.gpus // gpus if gpus else machine.cpus)


def _gpus(machines: Sequence[Machine], settings: ServerSettings) -> int:
    """GPUs of each replica. Raises ``UsageError`` for a device by number."""
    check_device(settings.device, told="--device ", each="worker")
    there = any(machine.gpus for machine in machines)
    return settings.tensor_parallel if there and settings.device != "cpu" else 0
