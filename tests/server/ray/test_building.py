"""The application as Serve reads it: its deployments, and the files of the examples."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from llada_core.errors import UsageError
from llada_server.ray import app, building
from llada_server.ray.settings import settings_of
from tests.server.ray.clusters import needs_ray

EXAMPLES = Path(__file__).parents[3] / "examples" / "ray"


class Serve:
    """Notes how deployments are declared."""

    def __init__(self) -> None:
        self.declared: dict[str, dict[str, Any]] = {}
        self.bound: dict[str, tuple[Any, ...]] = {}

    def deployment(self, kind: type, *, name: str, **options: Any) -> Any:
        self.declared[name] = options
        return Deployment(self, name)


class Deployment:
    def __init__(self, serve: Serve, name: str) -> None:
        self._serve, self._name = serve, name

    def bind(self, *given: Any) -> str:
        self._serve.bound[self._name] = given
        return self._name


class Cluster:
    """A cluster with GPUs, or none."""

    def __init__(self, gpus: float | None) -> None:
        self._gpus = gpus

    def is_initialized(self) -> bool:
        return self._gpus is not None

    def cluster_resources(self) -> dict[str, float]:
        return {"GPU": self._gpus} if self._gpus else {}


def built(monkeypatch: pytest.MonkeyPatch, gpus: float | None = None, **args: Any) -> Serve:
    serve = Serve()
    monkeypatch.setattr(building, "imported", lambda: (Cluster(gpus), serve))
    assert app(args) == "Ingress"
    return serve


def test_replicas_have_what_is_asked_for_and_time_to_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    serve = built(
        monkeypatch,
        device="cpu",
        num_replicas=2,
        cpus_per_replica=3,
        max_num_seqs=4,
        max_queue=5,
        drain_timeout=7,
    )
    model, ingress = serve.declared["Model"], serve.declared["Ingress"]
    assert model["num_replicas"] == 2
    assert model["ray_actor_options"] == {"num_cpus": 3, "num_gpus": 0}
    assert ingress["ray_actor_options"] == {"num_cpus": 0}
    assert model["max_ongoing_requests"] > 4 + 5, "probes pass whatever is in work"
    taken = 2 * model["max_ongoing_requests"] + model["max_queued_requests"]
    assert ingress["max_ongoing_requests"] > taken, "it tells itself who is one too many"
    assert ingress["max_queued_requests"] > 0
    assert ingress["backpressure_config"] == {"status_code": 429, "retry_after_s": 1}
    assert min(each["graceful_shutdown_timeout_s"] for each in (model, ingress)) >= 7


def test_autoscaling_aims_at_what_a_replica_decodes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    serve = built(monkeypatch, device="cpu", max_replicas=3, max_num_seqs=4)
    assert "num_replicas" not in serve.declared["Model"]
    expected = {"min_replicas": 1, "max_replicas": 3, "target_ongoing_requests": 4}
    assert serve.declared["Model"]["autoscaling_config"] == expected


def test_what_autoscaling_is_told_comes_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    args: dict[str, Any] = {
        "min_replicas": 0,
        "max_replicas": 3,
        "initial_replicas": 2,
        "target_ongoing_requests": 1.5,
        "upscale_delay_s": 1,
        "downscale_delay_s": 2.5,
    }
    serve = built(monkeypatch, device="cpu", **args)
    assert serve.declared["Model"]["autoscaling_config"] == args


def test_an_aim_that_no_replica_comes_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    args: dict[str, Any] = {"device": "cpu", "max_replicas": 3, "max_num_seqs": 4, "max_queue": 2}
    built(monkeypatch, **args, target_ongoing_requests=6)
    with pytest.raises(UsageError, match="target_ongoing_requests=7 cannot be: a replica takes 6 requests"):
        built(monkeypatch, **args, target_ongoing_requests=7)


@pytest.mark.parametrize("key", [None, "k"])
def test_that_no_key_is_asked_for_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, key: str | None
) -> None:
    monkeypatch.setattr(logging.getLogger("llada_server"), "propagate", True)
    built(monkeypatch, device="cpu", **({} if key is None else {"api_key": key}))
    assert any("no key is asked for" in each for each in caplog.messages) is (key is None)


def test_the_ingress_alone_knows_the_key_and_who_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    serve = built(monkeypatch, device="cpu", api_key="k", cors_origins=["*"])
    models, front = serve.bound["Ingress"]
    (replica,) = serve.bound["Model"]
    assert (models, front.api_key, front.cors_origins) == ("Model", "k", ("*",))
    assert (replica.api_key, replica.cors_origins) == (None, ())


@pytest.mark.parametrize(
    ("gpus", "args", "expected"),
    [
        (2.0, {}, 1),
        (2.0, {"tensor_parallel": 2}, 2),
        (0.0, {}, 0),
        (0.0, {"gpus_per_replica": 0.5}, 0.5),
        (0.0, {"device": "cuda"}, 1),
        (None, {"device": "cuda", "tensor_parallel": 2}, 2),
        (None, {"device": "cpu"}, 0),
        (None, {"device": "cuda", "gpus_per_replica": 1}, 1),
    ],
)
def test_how_many_gpus_a_replica_has(
    monkeypatch: pytest.MonkeyPatch, gpus: float | None, args: dict[str, Any], expected: float
) -> None:
    serve = built(monkeypatch, gpus, **args)
    assert serve.declared["Model"]["ray_actor_options"]["num_gpus"] == expected


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "cannot be told without a cluster; give gpus_per_replica"),
        ({"device": "cuda:1"}, "device=cuda:1 cannot be.* name the kind alone, as cuda"),
        ({"device": "cpu", "gpus_per_replica": 1}, "cannot both be"),
        ({"tensor_parallel": 2, "gpus_per_replica": 1}, "leave gpus_per_replica out"),
    ],
)
def test_gpus_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, args: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        built(monkeypatch, **args)


def configurations() -> dict[str, Any]:
    """Serve's configuration in each of the examples."""
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    service = yaml.safe_load((EXAMPLES / "rayservice.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    return {
        "serve.yaml": yaml.safe_load((EXAMPLES / "serve.yaml").read_text()),
        "rayservice.yaml": yaml.safe_load(service["spec"]["serveConfigV2"]),
    }


def test_the_examples_name_the_application_and_settings_that_there_are() -> None:
    for name, told in configurations().items():
        (application,) = told["applications"]
        assert application["import_path"] == "llada_server.ray:app", name
        settings, pool = settings_of(application["args"])
        assert settings.model is not None
        assert pool.most > 1


def test_the_kubernetes_example_has_room_for_its_replicas() -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    cluster = yaml.safe_load((EXAMPLES / "rayservice.yaml").read_text())["spec"]["rayClusterConfig"]
    (application,) = configurations()["rayservice.yaml"]["applications"]
    _, pool = settings_of(application["args"])
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (pool.least, pool.most)
    groups = [cluster["headGroupSpec"], workers]
    containers = [each["template"]["spec"]["containers"][0] for each in groups]
    assert len({each["image"] for each in containers}) == 1
    limits = containers[1]["resources"]["limits"]
    assert int(limits["nvidia.com/gpu"]) == pool.gpus_per_replica
    assert int(limits["cpu"]) >= pool.cpus_per_replica


@needs_ray
@pytest.mark.slow  # the library takes seconds to import
def test_serve_reads_the_examples_and_builds_the_application() -> None:
    schema = pytest.importorskip("ray.serve.schema")
    deployment = pytest.importorskip("ray.serve.deployment")
    for told in configurations().values():
        schema.ServeDeploySchema.model_validate(told)
    assert isinstance(app({"device": "cpu", "num_replicas": 2}), deployment.Application)
    autoscaled = app({"device": "cpu", "max_replicas": 2, "initial_replicas": 2, "downscale_delay_s": 9})
    assert isinstance(autoscaled, deployment.Application)
