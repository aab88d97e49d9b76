"""The application that Ray Serve runs: replicas of the model, and the ingress before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llada_core.errors import UsageError
from llada_server.ray.front import Front
from llada_server.ray.library import imported
from llada_server.ray.model import Model
from llada_server.ray.settings import PoolSettings, settings_of
from llada_server.settings import ServerSettings

__all__ = ["app", "models"]

_BESIDE = 256  # requests of a replica beside those for answers: of probes, pages, and who is told to wait
_LOOK = 0.5  # seconds between two looks whether a replica that is to end still has requests
_HEALTH = 5.0  # seconds between two questions for the health of a replica
_STARTS = 3  # of a replica that cannot load its model, before the application has failed


def app(args: Mapping[str, Any]) -> Any:
    """The application ``llada_server.ray:app`` of Serve's configuration.

    Its ``args`` are the settings of ``llada serve``, called as in its file, and those of ``PoolSettings``;
    over the variables ``LLADA_SERVE_…``, ``LLADA_API_KEY`` and the file that ``LLADA_SERVE_CONFIG`` names,
    of the process that builds it. Raises ``UsageError``.
    """
    settings, pool = settings_of(args)
    _, serve = imported()
    most = _most_requests(settings) * pool.most
    front = serve.deployment(
        Front,
        name="Ingress",
        num_replicas=pool.ingress_replicas,
        ray_actor_options={"num_cpus": 0},  # it waits, and is to be placed wherever there is a machine
        max_ongoing_requests=most,
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
    if pool.max_replicas is None:
        return {"num_replicas": pool.least}
    aim = settings.max_num_seqs if pool.target_ongoing_requests is None else pool.target_ongoing_requests
    return {
        "autoscaling_config": {
            "min_replicas": pool.least,
            "max_replicas": pool.most,
            "target_ongoing_requests": aim,
        }
    }


def _gpus(settings: ServerSettings, pool: PoolSettings) -> float:
    """The GPUs of each replica. Raises ``UsageError`` where that cannot be known, or be."""
    wanted, device = pool.gpus_per_replica, settings.device
    if device is not None and ":" in device:
        raise UsageError(
            f"device={device} cannot be: Ray gives each replica its own devices; name the kind alone, as "
            f"{device.partition(':')[0]}"
        )
    if wanted is None:
        wanted = 0.0 if device == "cpu" else _gpus_there() and float(settings.tensor_parallel)
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
