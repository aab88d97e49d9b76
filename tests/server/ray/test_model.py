"""A replica, as Ray calls it: answers, figures, health and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from llada_server.ray import model
from llada_server.ray.handed import Handed
from llada_server.ray.model import Model
from llada_server.scheduler.work import Broken
from llada_server.settings import ServerSettings
from tests.server.apps import scripted_model
from tests.server.fakes import ScriptedSession


def asked(body: Any, root: str = "") -> Handed:
    head = {"method": "POST", "path": f"{root}/v1/completions", "root_path": root, "query_string": b""}
    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"mine")]
    return Handed(head=head, headers=headers, body=json.dumps(body).encode())


def replica(monkeypatch: pytest.MonkeyPatch, session: ScriptedSession) -> Model:
    served, metrics = scripted_model(session, ServerSettings())
    monkeypatch.setattr(model, "told_loaded", lambda settings: None)
    monkeypatch.setattr(model, "opened", lambda *given, **more: (served, metrics, ["a line"]))
    monkeypatch.setattr(model, "replica_name", lambda: "one")
    monkeypatch.setattr(model, "freeze", lambda: None)
    return Model(ServerSettings())


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    made = replica(monkeypatch, ScriptedSession())
    yield made
    made.__del__()


async def batches(one: Model, request: Handed) -> list[Any]:
    return [batch async for batch in one.answer(request)]


@pytest.mark.parametrize("root", ["", "/llada"])
def test_it_says_that_a_request_is_here_and_answers_as_the_single_server(alive: Model, root: str) -> None:
    first, *rest = asyncio.run(batches(alive, asked({"prompt": "ab"}, root)))
    assert first == []
    messages = [message for batch in rest for message in batch]
    assert messages[0]["status"] == 200
    assert (b"x-request-id", b"mine") in messages[0]["headers"]
    body = json.loads(b"".join(message.get("body", b"") for message in messages))
    assert body["choices"][0]["text"] == "ab"


def test_requests_that_are_wrong_do_not_touch_its_health(alive: Model) -> None:
    for _ in range(2):
        _, (start, *_), *_ = asyncio.run(batches(alive, asked({"prompt": 3})))
        assert start["status"] == 400
    asyncio.run(alive.check_health())
    name, text = asyncio.run(alive.figures())
    assert (name, b"llada_steps_total" in text) == ("one", True)


def test_where_its_thread_broke_it_ends_before_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        raise Left(status)

    def breaks() -> None:
        raise OSError("broken")

    monkeypatch.setattr(model, "leave", leave)
    broken = replica(monkeypatch, ScriptedSession(breaks=breaks))
    heard: list[Any] = []

    async def ask() -> None:
        async for batch in broken.answer(asked({"prompt": "ab"})):
            heard.append(batch)

    with pytest.raises(Left) as left:
        asyncio.run(ask())
    assert (left.value.args, heard) == ((1,), [[]])
    with pytest.raises(Broken, match="the model's thread is gone"):
        asyncio.run(broken.check_health())
    broken.__del__()


def test_one_that_was_never_loaded_ends_without_a_word() -> None:
    Model.__new__(Model).__del__()
