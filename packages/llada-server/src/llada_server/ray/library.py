"""The library Ray, which is an extra: imported in this one place, on use."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llada_core.errors import LladaError, UsageError
from llada_core.faults import one_line

__all__ = [
    "Data",
    "Faults",
    "NoCluster",
    "faults",
    "imported",
    "imported_data",
    "last_line",
    "own_signals",
    "quieted",
    "start_here",
]

_STORE = 256 * 2**20  # bytes for what processes of a cluster of this machine tell each other


class NoCluster(LladaError):
    """No cluster could be started on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The errors with which the library says how a call of a replica ended.

    Attributes:
        gone: the replica, its process or its machine is no more, or cannot be reached.
        crowded: so many calls wait for a replica that this one is refused.
        unavailable: no replica could be started.
    """

    gone: tuple[type[BaseException], ...]
    crowded: tuple[type[BaseException], ...]
    unavailable: tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The parts of the library that sets of data need.

    Attributes:
        ray, data: the modules ``ray`` and ``ray.data``. arrow: the module ``pyarrow``.
        context: the class of its settings. queue: that of queues between processes.
        errors: what it raises where a set of data cannot be told to its end.
    """

    ray: Any
    data: Any
    arrow: Any
    context: Any
    queue: Any
    errors: tuple[type[BaseException], ...]


def imported_data() -> Data:
    """The library's parts for sets of data. Raises ``UsageError`` where they are not installed."""
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
        arrow, queue = importlib.import_module("pyarrow"), importlib.import_module("ray.util.queue")
    except ImportError as exc:
        raise UsageError(
            f"Ray Data cannot be imported ({exc}); pip install 'llada-server[ray]', or leave --ray out"
        ) from exc
    return Data(
        ray=ray,
        data=data,
        arrow=arrow,
        context=data.DataContext,
        queue=queue.Queue,
        errors=(ray.exceptions.RayError, data.exceptions.UserCodeException),
    )


def imported() -> tuple[Any, Any]:
    """The modules ``ray`` and ``ray.serve``. Raises ``UsageError`` where they are not installed."""
    # Ray tells lines that differ by numbers alone once in five seconds; those of requests are such.
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    try:
        return importlib.import_module("ray"), importlib.import_module("ray.serve")
    except ImportError as exc:
        raise UsageError(
            f"Ray Serve cannot be imported ({exc}); pip install 'llada-server[ray]', or start one server "
            "without --replicas"
        ) from exc


def faults() -> Faults:
    """The library's errors. Raises as ``imported``."""
    ray, _ = imported()
    serve = importlib.import_module("ray.serve.exceptions")
    told = ray.exceptions
    return Faults(
        gone=(
            told.RayActorError,
            told.WorkerCrashedError,
            told.NodeDiedError,
            told.ObjectLostError,
            told.OutOfMemoryError,
            told.TaskCancelledError,
        ),
        crowded=(serve.BackPressureError,),
        unavailable=(serve.DeploymentUnavailableError,),
    )


@contextmanager
def own_signals() -> Iterator[None]:
    """Leave the handler of SIGTERM as it is: the library's own, which it sets when a cluster starts, would
    end this process with a status that no killed process has. A signal that it took is sent once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, ended = signal.getsignal(signal.SIGTERM), False
    try:
        yield
    except SystemExit:
        ended = True
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        if ended:
            signal.raise_signal(signal.SIGTERM)


def quieted(*chatty: str, level: int) -> None:
    """Let these loggers tell what is of the level alone, and the library tell its makers nothing."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name in chatty:
        logging.getLogger(name).setLevel(level)


def start_here(ray: Any, failed: str) -> None:
    """Start a cluster of this machine alone, whatever RAY_ADDRESS says. Raises ``NoCluster`` with ``failed``,
    in which the reason stands in the place of ``{}``."""
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=_STORE,
            logging_level=logging.WARNING,
        )
    except Exception as exc:  # the library has no kind of error for it
        raise NoCluster(failed.format(one_line(exc))) from exc


def last_line(told: str) -> str:
    """The end of what the library tells of a failure, which is what it came from; empty where it is."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1] if lines else ""
