"""``llada serve --replicas``: a cluster of this machine alone, and the ingress in this process before it.

No proxy of Ray's stands between: clients connect to the single server's web server, with its limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from llada_core.errors import ModelLoadError, UsageError
from llada_core.faults import one_line, uninterrupted
from llada_server.announcing import address_lines
from llada_server.draining import Server
from llada_server.http.application import fronted
from llada_server.logs import log_to_stderr
from llada_server.opening import check_certificate, config_of
from llada_server.ray.building import models
from llada_server.ray.ingress import Ingress
from llada_server.ray.library import faults, imported, last_line, own_signals, quieted, start_here
from llada_server.ray.replicas import Replicas
from llada_server.ray.settings import PoolSettings
from llada_server.serving import EMBEDDED, bound, listen
from llada_server.settings import ServerSettings

__all__ = ["run"]

_CHATTY = ("ray.serve", "ray._private.authentication")  # loggers that tell what goes well
_NOT_STARTED = (
    "Ray could not start on this machine: {}; its logs are in /tmp/ray/session_latest/logs, and a machine "
    "that has too much to do may start it at the next try"
)
_QUIET = {"log_level": "WARNING", "enable_access_log": False}


def run(settings: ServerSettings) -> int:
    """Serve as many replicas as the settings say until a signal asks to stop: the exit status.

    Raises ``UsageError`` where Ray is not installed, the machine has too little for them, or the address
    cannot be had, before anything is loaded, ``NoCluster`` where Ray does not start, and ``ModelLoadError``
    where the replicas cannot load the model.
    """
    log_to_stderr(settings.log_level, requests=settings.log_requests, prompts=settings.log_prompts)
    replicas = settings.replicas or 1
    imported()
    check_certificate(settings)
    config_of(settings)
    with bound(settings) as taken, _cluster() as (cpus, gpus):
        pool = _pool(settings, replicas, cpus=cpus, gpus=gpus)
        ingress = Ingress(Replicas(_deployed(settings, pool), faults()), settings)
        listen(taken, settings)
        for line in (_line(pool), *address_lines(settings, taken.getsockname()[1])):
            click.echo(line, err=True)
        all_together = replace(
            settings,
            max_num_seqs=settings.max_num_seqs * replicas,
            max_queue=settings.max_queue * replicas,
        )
        server = Server(fronted(ingress, settings), ingress, all_together)
        with uninterrupted():
            asyncio.run(server.serve(sockets=[taken]))
    return 0


@contextmanager
def _cluster() -> Iterator[tuple[int, int]]:
    """A cluster of this machine, and how many cores and GPUs it has; all its processes end with it. Raises
    ``NoCluster``."""
    ray, serve = imported()
    quieted(*_CHATTY, level=logging.ERROR)
    with own_signals():
        start_here(ray, _NOT_STARTED)
    try:
        there = ray.cluster_resources()
        yield int(there.get("CPU", 0)), int(there.get("GPU", 0))
    finally:
        serve.shutdown()
        ray.shutdown()


def _pool(settings: ServerSettings, replicas: int, *, cpus: int, gpus: int) -> PoolSettings:
    """What each replica has of this machine. Raises ``UsageError`` where it is not enough."""
    each = settings.tensor_parallel if gpus and settings.device != "cpu" else 0
    if each * replicas > gpus:
        raise UsageError(
            f"{replicas} replicas need {each * replicas} GPUs, and this machine has {gpus}; give a smaller "
            "--replicas"
        )
    if replicas > cpus:
        raise UsageError(
            f"{replicas} replicas need a core each, and this machine has {cpus}; give a smaller --replicas"
        )
    return PoolSettings(num_replicas=replicas, cpus_per_replica=cpus // replicas, gpus_per_replica=each)


def _deployed(settings: ServerSettings, pool: PoolSettings) -> Any:
    """A handle of the replicas, once all have loaded the model. Raises ``ModelLoadError``."""
    _, serve = imported()
    serve.start(proxy_location="Disabled", logging_config=_QUIET)
    quiet = replace(settings, log_requests=False)  # the ingress logs each, in this process
    try:
        return serve.run(models(quiet, pool), route_prefix=None, logging_config=_QUIET)
    except RuntimeError as exc:
        reason = _reason(serve) or one_line(exc)
        raise ModelLoadError(
            f"the replicas could not start: {reason}", path=settings.named or EMBEDDED, reason=reason
        ) from exc


def _reason(serve: Any) -> str:
    """What the first replica that could not start died of: the end of what Serve says; empty where it says
    nothing."""
    applications = serve.status().applications.values()
    told = [each.message for application in applications for each in application.deployments.values()]
    return last_line("\n".join(told))


def _line(pool: PoolSettings) -> str:
    cores, gpus = pool.cpus_per_replica, pool.gpus_per_replica
    return f"replicas: {pool.num_replicas}, cores of each: {cores:g}, GPUs of each: {gpus:g}"
