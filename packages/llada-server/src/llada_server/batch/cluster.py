"""The cluster of Ray that workers are on, and the way of shares there and back: a data set of Ray Data.

Its one source is a queue that this process fills, so the input is read here alone; ``map_batches`` hands each
share to a worker and brings its answers back in one piece. A worker that dies is started again, and Ray asks
it for the shares that it had, once there is a place for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from llada_core.errors import UsageError
from llada_core.faults import one_line
from llada_server.batch.placing import Machine
from llada_server.batch.shares import Sizes
from llada_server.batch.spread import Lost
from llada_server.batch.worker import ANSWERS, LINES, Worker
from llada_server.ray.library import (
    Data,
    imported_data,
    last_line,
    own_signals,
    quieted,
    start_here,
)
from llada_server.ray.settings import PoolSettings
from llada_server.serving import name_at
from llada_server.settings import ServerSettings

__all__ = ["Cluster", "Workers", "connected"]

_STARTS = 4  # of a worker, one with another, before they have something that kills each
# Loggers of errors, which are raised too, and of what goes well.
_CHATTY = ("ray.data", "ray._private.authentication")
_BEGIN = b"begin"  # what comes first out of the queue: who does not find it comes second
_NOT_STARTED = (
    "a cluster of this machine could not be started ({}); try again when it has less to do, or leave --ray "
    "out"
)
_NONE_RUNS = "Could not find any running Ray instance"  # as ray.init("auto") says it
_FILES = ("model", "chat_template", "dcp_path", "base_model", "temp_dir")  # settings that may name one


class Cluster:
    """A cluster that this process is connected to."""

    def __init__(self, data: Data) -> None:
        self.data = data

    @property
    def machines(self) -> list[Machine]:
        """Those that are there now."""
        there = [each["Resources"] for each in self.data.ray.nodes() if each["Alive"]]
        return [Machine(cpus=int(each.get("CPU", 0)), gpus=int(each.get("GPU", 0))) for each in there]


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """A cluster: that at the address, or the one that Ray finds (``RAY_ADDRESS``, or one of this machine), or
    else one of this machine alone, as for "local", whose processes end with the context.

    Raises ``UsageError`` where Ray is not installed or the address cannot be reached, and ``NoCluster``
    where none could be started.
    """
    # Threads that still ask it something would start a second one.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    data = imported_data()
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None and "://" in address:
        raise UsageError(
            f"--ray-address {address} is for clients of Ray, and this is none; run it on a machine of the "
            "cluster, and give host:port"
        )
    quieted(*_CHATTY, level=logging.CRITICAL)
    with own_signals():
        _connect(data.ray, address)
    try:
        yield Cluster(data)
    finally:
        data.ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    """Connect to the cluster. Raises ``UsageError``, and ``NoCluster`` where none could be started."""
    if address != "local":
        try:
            ray.init(address=address or "auto", logging_level=logging.WARNING, runtime_env=_environment())
            return
        except (ConnectionError, OSError, RuntimeError, ValueError) as exc:
            if address is not None or _NONE_RUNS not in str(exc):
                raise UsageError(
                    f"the cluster{f' at {address}' if address else ' that runs'} cannot be joined "
                    f"({one_line(exc)}); mend that, or give --ray-address local for one of this machine alone"
                ) from exc
    start_here(ray, _NOT_STARTED)


def _environment() -> dict[str, Any]:
    """What the variables say here, for workers that somebody else's processes start; but a server's key."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("LLADA_")}
    return {"env_vars": {name: value for name, value in ours.items() if name != "LLADA_API_KEY"}}


class Workers:
    """The way to the workers of a cluster and back, as of ``Carrier``."""

    def __init__(self, cluster: Cluster, settings: ServerSettings, pool: PoolSettings, sizes: Sizes) -> None:
        self._data, self._settings, self._pool, self._sizes = cluster.data, settings, pool, sizes
        self._here = str(self._data.ray.get_runtime_context().get_node_id())
        self._queue, self._starts = self._new_queue(), self._new_queue()
        self._queue.put(_BEGIN)

    def _new_queue(self) -> Any:
        """A queue in a process of this machine."""
        here = {"ray.io/node-id": self._here}
        return self._data.queue(actor_options={"num_cpus": 0, "label_selector": here})

    def put(self, share: bytes | None) -> None:
        """As of ``Carrier``."""
        self._queue.put(share)

    def answered(self) -> Iterator[bytes]:
        """As of ``Carrier``. Raises ``Lost`` with what the first worker died of, and the ``UsageError`` of
        one that could not begin with these settings."""
        try:
            with self._data.context.current(self._context()):
                for table in self._answers().iter_batches(
                    batch_size=None, batch_format="pyarrow", prefetch_batches=0
                ):
                    yield from table[ANSWERS].to_pylist()
        except self._data.errors as exc:
            if (refused := self._refused()) is not None:
                raise refused from exc
            raise Lost(f"the workers ended: {last_line(str(exc)) or type(exc).__name__}") from exc

    def _refused(self) -> UsageError | None:
        """What the settings are wrong in, where a worker has said so."""
        try:
            told = self._starts.get_nowait_batch(self._starts.size())
        except self._data.errors:  # the queue is lost with its machine
            return None
        return next((each for each in told if isinstance(each, UsageError)), None)

    def _answers(self) -> Any:
        """The data set."""
        pool, sizes = self._pool, self._sizes
        asked = self._data.data.from_items([{"source": 0}]).map_batches(
            _handed_out,
            fn_kwargs={"queue": self._queue},
            batch_format="pyarrow",
            num_cpus=0,  # it waits
            label_selector={"ray.io/node-id": self._here},
        )
        return asked.map_batches(
            Worker,
            fn_constructor_kwargs={
                "settings": _of_workers(self._settings),
                "starts": self._starts,
                "most": _STARTS * pool.least,
            },
            compute=self._data.data.ActorPoolStrategy(
                size=pool.least,
                max_tasks_in_flight_per_actor=sizes.at_once + 1,
                max_concurrent_calls_per_actor=sizes.at_once,
                enable_true_multi_threading=True,
            ),
            batch_size=1,  # a share
            batch_format="pyarrow",
            num_cpus=pool.cpus_per_replica,
            num_gpus=pool.gpus_per_replica,
        )

    def _context(self) -> Any:
        """How the data set is run: in silence, a share in each piece, and for as long as it takes."""
        context = self._data.context.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.target_max_block_size = 1
        context.execution_no_progress_timeout_s = -1
        return context


def _handed_out(table: Any, queue: Any) -> Iterator[Any]:
    """Tables with a share each, as they come out of the queue. Raises where it was emptied before: Ray began
    anew after its process was lost, and shares were lost with that."""
    data = imported_data()
    if queue.get() != _BEGIN:
        raise RuntimeError("the process that hands lines out was lost")
    while (share := queue.get()) is not None:
        yield data.arrow.table({LINES: data.arrow.array([share], type=data.arrow.large_binary())})


def _of_workers(settings: ServerSettings) -> ServerSettings:
    """The settings with whole paths where they name files, and the model by the name that it has here:
    workers have folders of their own."""
    named = {name: getattr(settings, name) for name in _FILES}
    found = {name: Path(value).expanduser() for name, value in named.items() if value is not None}
    paths: dict[str, Any] = {name: str(path.absolute()) for name, path in found.items() if path.exists()}
    return replace(settings, served_model_name=settings.served_model_name or name_at(settings), **paths)
