"""The application that Ray Serve runs: replicas of the model, and the ingress before them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llada_core.errors import UsageError
from llada_server.ray.front import Front
from llada_server.ray.library import imported
from llada_server.ray.model import Model
from llada_server.ray.settings import PoolSettings, check_device, settings_of
from llada_server.settings import ServerSettings

__all__ = ["app", "models"]

_BESIDE = 256  # requests of a replica beside those for answers: of probes, pages, and who is told to wait
_LOOK = 0.5  # seconds between two looks whether a replica that is to end still has requests
_HEALTH = 5.0  # seconds between two questions for the health of a replica
_STARTS = 3  # of a replica that cannot load its model, before the application has failed
_log = logging.getLogger(__name__)


def app(args: Mapping[str, Any]) -> Any:
    """The application ``llada_server.ray:app`` of Serve's configuration.

    Its ``args`` are the settings of ``llada serve``, called as in its file, and those of ``PoolSettings``;
    over the variables ``LLADA_SERVE_…``, ``LLADA_API_KEY`` and the file that ``LLADA_SERVE_CONFIG`` names,
    of the process that builds it. Raises ``UsageError``.
    """
    settings, pool = settings_of(args)
    _, serve = imported()
    if settings.api_key is None:
        _log.warning("no key is asked for; set LLADA_API_KEY where other machines can reach Serve's proxies")
    # Those that replicas have, as many that wait for one, and who hears that these are too many.
    most = (2 * pool.most + 1) * _most_requests(settings)
    front = serve.deployment(
        Front,
        name="Ingress",
        num_replicas=pool.ingress_replicas,
        ray_actor_options={"num_cpus": 0},  # it waits, and is to be placed wherever there is a machine
        max_ongoing_requests=most,
        max_queued_requests=_BESIDE,  # in each proxy, which answers one more by itself
        backpressure_config={"status_code": 429, "retry_after_s": 1},
        **_ending(settings),
    )
    return front.bind(models(settings, pool), settings)


def models(settings: ServerSettings, pool: PoolSettings) -> Any:
    """The replicas alone, as an application without HTTP. Raises ``UsageError``."""
    _, serve = imported()
    deployed = serve.deployment(
        Model,
        name="Model",
        ray_actor_options={"num_cpus": pool.cpus_per_replica, "num_gpus": _gpus(settings, pool)},
        max_ongoing_requests=_most_requests(settings),
        max_queued_requests=_most_requests(settings) * pool.most,
        health_check_period_s=_HEALTH,
        max_constructor_retry_count=_STARTS,
        **_ending(settings),
        **_count(settings, pool),
    )
    # The ingress has asked for the key and told pages of other origins what they may.
    return deployed.bind(replace(settings, api_key=None, cors_origins=()))


def _most_requests(settings: ServerSettings) -> int:
    """How many requests a replica has at a time, of all kinds: it refuses those for answers itself, by what
    it knows of their number, and never a question for its health."""
    return settings.max_num_seqs + settings.max_queue + _BESIDE


def _ending(settings: ServerSettings) -> dict[str, Any]:
    """How long what has been taken may go on where a replica is to end."""
    return {
        "graceful_shutdown_wait_loop_s": _LOOK,
        "graceful_shutdown_timeout_s": settings.drain_timeout + 2 * _LOOK,
    }


def _count(settings: ServerSettings, pool: PoolSettings) -> dict[str, Any]:
    """How many replicas there are. Raises ``UsageError`` for an aim that none can come to."""
    if pool.max_replicas is None:
        return {"num_replicas": pool.least}
    aim = settings.max_num_seqs if pool.target_ongoing_requests is None else pool.target_ongoing_requests
    takes = settings.max_num_seqs + settings.max_queue
    if aim > takes:
        raise UsageError(
            f"target_ongoing_requests={aim:g} cannot be: a replica takes {takes} requests, max_num_seqs and "
            "max_queue together, and no other one would ever start; give a smaller number"
        )
    told = {
        "min_replicas": pool.least,
        "max_replicas": pool.most,
        "initial_replicas": pool.initial_replicas,
        "target_ongoing_requests": aim,
        "upscale_delay_s": pool.upscale_delay_s,
        "downscale_delay_s": pool.downscale_delay_s,
    }
    return {"autoscaling_config": {name: value for name, value in told.items() if value is not None}}


def _gpus(settings: ServerSettings, pool: PoolSettings) -> float:
    """The GPUs of each replica. Raises ``UsageError`` where that cannot be known, or be."""
    wanted, device = pool.gpus_per_replica, settings.device
    check_device(device, told="device=", each="replica")
    if wanted is None:
        without = device == "cpu" or (device is None and not _gpus_there())
        wanted = 0.0 if without else float(settings.tensor_parallel)
    if wanted and device == "cpu":
        raise UsageError(f"gpus_per_replica={wanted:g} and device=cpu cannot both be; leave one of them out")
    if settings.tensor_parallel > 1 and wanted not in (0, settings.tensor_parallel):
        raise UsageError(
            f"gpus_per_replica={wanted:g} and tensor_parallel={settings.tensor_parallel} cannot both be; "
            "leave gpus_per_replica out"
        )
    return wanted


def _gpus_there() -> float:
    """How many GPUs the cluster has now."""
    ray, _ = imported()
    if not ray.is_initialized():
        raise UsageError(
            "whether replicas have GPUs cannot be told without a cluster; give gpus_per_replica, or "
            "device=cpu, or call ray.init() before"
        )
    return float(ray.cluster_resources().get("GPU", 0.0))
