"""Which cluster is taken, what workers are told of this machine, and who hands lines out a second time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from llada_core.errors import LladaError, UsageError
from llada_server.batch import cluster as module
from llada_server.batch.cluster import Cluster, Workers, connected
from llada_server.batch.placing import Machine
from llada_server.batch.shares import Sizes
from llada_server.batch.spread import Lost
from llada_server.ray.library import Data
from llada_server.ray.settings import PoolSettings
from llada_server.settings import ServerSettings


class Ray:
    """The library, with clusters at these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = {*addresses, "local"}
        self.asked, self.ended = list[dict[str, Any]](), 0

    def init(self, **given: Any) -> None:
        self.asked.append(given)
        if given["address"] not in self._addresses:
            none = "Could not find any running Ray instance"
            raise ConnectionError(none if given["address"] == "auto" else f"nobody at {given['address']}")

    def shutdown(self) -> None:
        self.ended += 1

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}},
            {"Alive": True, "Resources": {"node:10.0.0.2": 1.0}},
            {"Alive": False, "Resources": {"CPU": 8.0}},
        ]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ray]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def made(*addresses: str) -> Ray:
        ray = Ray(*addresses)
        monkeypatch.setattr(module, "imported_data", lambda: SimpleNamespace(ray=ray))
        return ray

    return made


@pytest.mark.parametrize(
    ("there", "given", "asked"),
    [
        (["auto"], None, ["auto"]),
        ([], None, ["auto", "local"]),
        (["auto"], "local", ["local"]),
        (["10.0.0.1:6379"], "10.0.0.1:6379", ["10.0.0.1:6379"]),
    ],
)
def test_a_cluster_is_found_or_started(
    cluster: Callable[..., Ray], there: list[str], given: str | None, asked: list[str]
) -> None:
    ray = cluster(*there)
    with connected(given) as found:
        assert found.machines == [Machine(cpus=8, gpus=2), Machine(cpus=0, gpus=0)]
        assert not ray.ended
    assert [each["address"] for each in ray.asked] == asked
    assert ray.ended == 1
    assert "object_store_memory" not in ray.asked[0] or asked[0] == "local"  # which is another's to say


def test_what_the_environment_names_must_be_there(
    cluster: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = cluster()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UsageError, match=r"at 10.0.0.1:6379 cannot be joined \(.*nobody at 10.0.0.1:6379\)"):
        connected(None).__enter__()
    assert [each["address"] for each in ray.asked] == ["10.0.0.1:6379"]


def test_a_cluster_that_is_there_and_cannot_be_joined_is_not_replaced(
    cluster: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = cluster()

    def init(**given: Any) -> None:
        ray.asked.append(given)
        raise RuntimeError("Version mismatch: The cluster was started with Ray 2.59")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(
        UsageError, match=r"that runs cannot be joined \(.*Version mismatch.*give --ray-address local"
    ):
        connected(None).__enter__()
    assert [each["address"] for each in ray.asked] == ["auto"]


def test_what_the_variables_say_is_said_to_workers_of_a_cluster(
    cluster: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = cluster("10.0.0.1:6379")
    monkeypatch.setenv("LLADA_ALGORITHM", "dual_cache")
    monkeypatch.setenv("LLADA_API_KEY", "secret")
    with connected("10.0.0.1:6379"):
        variables = ray.asked[0]["runtime_env"]["env_vars"]
    assert variables["LLADA_ALGORITHM"] == "dual_cache"
    assert "LLADA_API_KEY" not in variables


def test_a_cluster_that_does_not_start_is_told(
    cluster: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = cluster()

    def init(**_: Any) -> None:
        raise Exception("the node timed out")  # as the library does

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(LladaError, match=r"could not be started \(.*the node timed out\); try again"):
        connected("local").__enter__()


def test_clients_of_ray_are_refused(cluster: Callable[..., Ray]) -> None:
    ray = cluster("ray://10.0.0.1:10001")
    with pytest.raises(UsageError, match="run it on a machine of the cluster, and give host:port"):
        connected("ray://10.0.0.1:10001").__enter__()
    assert not ray.asked


def test_workers_are_told_whole_paths_and_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    told = module._of_workers(ServerSettings(model="model"))
    assert (told.model, told.served_model_name) == (str(tmp_path / "model"), "model")
    told = module._of_workers(ServerSettings(model="GSAI-ML/LLaDA", served_model_name="a"))
    assert (told.model, told.served_model_name) == ("GSAI-ML/LLaDA", "a")


class Queue:
    """The library's, in this process, with these things in it; ``lost`` is what asking it raises."""

    def __init__(self, *held: object, lost: Exception | None = None) -> None:
        self._held, self._lost = list(held), lost

    def put(self, each: object) -> None:
        self._held.append(each)

    def size(self) -> int:
        if self._lost is not None:
            raise self._lost
        return len(self._held)

    def get_nowait_batch(self, count: int) -> list[object]:
        return self._held[:count]


class Died(Exception):
    """Stands for the library's error."""


@pytest.mark.parametrize(
    ("starts", "raised"),
    [
        (Queue(True, True), Lost),
        (Queue(True, UsageError("no; give less")), UsageError),
        (Queue(lost=Died("the machine is gone")), Lost),
    ],
)
def test_wrong_settings_of_workers_are_wrong_settings(
    starts: Queue, raised: type[LladaError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(self: Workers) -> NoReturn:
        raise Died("no; give less")

    monkeypatch.setattr(Workers, "_answers", answers)
    monkeypatch.setattr(Workers, "_context", lambda self: None)
    queues = iter([Queue(), starts])
    data = Data(
        ray=SimpleNamespace(get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "here")),
        data=None,
        arrow=None,
        context=SimpleNamespace(current=nullcontext),
        queue=lambda **_: next(queues),
        errors=(Died,),
    )
    settings = ServerSettings()
    workers = Workers(Cluster(data), settings, PoolSettings(), Sizes.of(settings, left=1, workers=1))
    with pytest.raises(raised, match="no; give less"):
        list(workers.answered())


def test_who_hands_lines_out_a_second_time_is_told(cluster: Callable[..., Ray]) -> None:
    cluster()
    queue = iter([b"a share", None])
    with pytest.raises(RuntimeError, match="the process that hands lines out was lost"):
        list(module._handed_out(None, SimpleNamespace(get=lambda: next(queue))))
