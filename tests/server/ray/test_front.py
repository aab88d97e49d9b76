"""What stands between Ray and the rest: its proxy's id of a request, its absence, a machine's resources."""

from __future__ import annotations

import asyncio
import signal
import sys
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from llada_core.errors import ModelLoadError, UsageError
from llada_server.command import serve
from llada_server.ray import front, local
from llada_server.ray.front import Front
from llada_server.ray.library import Faults, NoCluster, imported, own_signals
from llada_server.ray.settings import PoolSettings
from llada_server.settings import ServerSettings
from tests.server.ray.fakes import Call, Handle, start


def test_an_id_that_the_proxy_will_tell_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "faults", lambda: Faults(gone=(), crowded=(), unavailable=()))

    async def ids(given: dict[str, str]) -> list[str]:
        body = {"type": "http.response.body", "body": b"{}"}
        made = Front(Handle(Call([[], [start(), body]])), ServerSettings())
        app: Any = await made(None)  # type: ignore[arg-type]  # what is asked comes when the answer is sent
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
            answer = await client.post("/v1/completions", headers=given)
        assert answer.status_code == 200
        return answer.headers.get_list("x-request-id")

    assert asyncio.run(ids({"X-Request-Id": "mine"})) == []
    (another,) = asyncio.run(ids({"X-Request-Id": "no id"}))
    assert another != "no id"


def test_a_request_that_the_proxy_cancels_is_one_whose_client_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "faults", lambda: Faults(gone=(), crowded=(), unavailable=()))
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "query_string": b"", "headers": []}
    sent: list[Any] = []

    async def nothing() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def leave() -> None:
        app: Any = await Front(Handle(), ServerSettings())(None)  # type: ignore[arg-type]  # as above
        asking = asyncio.create_task(app(scope, nothing, send))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asking

    asyncio.run(leave())
    assert sent[0]["status"] == 499


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'llada-server\[ray\]'"):
        imported()
    with pytest.raises(UsageError, match=r"pip install 'llada-server\[ray\]'"):
        serve.main(["--replicas", "2"], standalone_mode=False)


def test_the_handler_of_a_signal_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with own_signals():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_the_library_s_handler_took_comes_again() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))

    def start() -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)

    try:
        with pytest.raises(SystemExit), own_signals():
            start()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_cluster_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**how: Any) -> None:
        raise Exception("The current node timed out")

    monkeypatch.setattr(local, "imported", lambda: (SimpleNamespace(init=init), None))
    told = "could not start on this machine: Exception: The current node timed out; its logs"
    with pytest.raises(NoCluster, match=told), local._cluster():
        raise AssertionError("it has not started")


@pytest.mark.parametrize(
    ("settings", "machine", "expected"),
    [
        ({}, (8, 0), (4, 0)),
        ({}, (9, 2), (4, 1)),
        ({"device": "cpu"}, (8, 2), (4, 0)),
        ({"tensor_parallel": 2}, (8, 4), (4, 2)),
    ],
)
def test_a_machine_is_divided_between_replicas(
    settings: dict[str, Any], machine: tuple[int, int], expected: tuple[int, int]
) -> None:
    cpus, gpus = machine
    told = local._pool(ServerSettings(**settings), 2, cpus=cpus, gpus=gpus)
    assert told == PoolSettings(num_replicas=2, cpus_per_replica=expected[0], gpus_per_replica=expected[1])


@pytest.mark.parametrize(
    ("machine", "said"),
    [((1, 0), "2 replicas need a core each, and this machine has 1"), ((8, 1), "need 2 GPUs, and .* has 1")],
)
def test_a_machine_that_has_too_little_is_told(machine: tuple[int, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        local._pool(ServerSettings(), 2, cpus=machine[0], gpus=machine[1])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "failed 3 times. Error:\nTraceback:\n  File x\nllada_core.errors.UsageError: give less\n\n",
            "give less",
        ),
        ("", "RuntimeError: Deploying failed"),
    ],
)
def test_replicas_that_cannot_start_say_why(monkeypatch: pytest.MonkeyPatch, message: str, said: str) -> None:
    def run(*given: Any, **more: Any) -> None:
        raise RuntimeError("Deploying failed")

    deployment = SimpleNamespace(message=message)
    application = SimpleNamespace(deployments={"Model": deployment})
    status = SimpleNamespace(applications={"default": application})
    library = SimpleNamespace(start=lambda **how: None, run=run, status=lambda: status)
    monkeypatch.setattr(local, "imported", lambda: (None, library))
    monkeypatch.setattr(local, "models", lambda settings, pool: None)
    with pytest.raises(ModelLoadError, match=f"the replicas could not start: .*{said}"):
        local._deployed(ServerSettings(), PoolSettings())
