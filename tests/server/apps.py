"""Servers for tests: one whose rows follow a script, and one that serves the small model."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from llada_core import load_model
from llada_core.generation.prompts import check_vocabulary
from llada_server.http.connections import configured
from llada_server.http.served import Served
from llada_server.metrics import Metrics
from llada_server.scheduler.worker import Worker
from llada_server.serving import application_of, served_model
from llada_server.settings import ServerSettings
from tests.server.fakes import ScriptedSession

__all__ = ["Client", "Running", "model_server", "scripted_model", "scripted_server"]


class Words:
    """A tokenizer whose tokens are characters."""

    def encode(self, prompt: Any, *, raw: bool = False) -> list[int]:
        text = prompt if isinstance(prompt, str) else "".join(each["content"] for each in prompt)
        return [ord(character) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def check(self, ids: Sequence[int]) -> None:
        check_vocabulary(ids, 0x110000)


@dataclass(frozen=True)
class Running:
    """A server that listens. ``worker`` is its model's thread."""

    url: str
    worker: Worker
    served: Served

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, **options)


Client = httpx.Client


@contextmanager
def scripted_server(
    session: ScriptedSession | None = None, *, score: Callable[..., Any] = list, **settings: Any
) -> Iterator[Running]:
    """A server on ``session``, whose answers repeat the last message or the prompt by characters."""
    scripted = session or ScriptedSession()
    served, metrics = scripted_model(scripted, ServerSettings(**settings), score=score)
    worker = served.worker
    worker.start()
    try:
        with _listening(application_of(served, metrics), served.settings) as url:
            yield Running(url, worker, served)
    finally:
        if scripted.gate is not None:
            scripted.gate.release(1000)
        worker.stop(5)


def scripted_model(
    scripted: ScriptedSession, given: ServerSettings, *, score: Callable[..., Any] = list
) -> tuple[Served, Metrics]:
    """A model whose answers are the script, not started yet."""
    metrics = Metrics("scripted")
    worker = Worker(lambda: scripted, limit=given.max_num_seqs + given.max_queue, watcher=metrics)
    metrics.watch(running=lambda: worker.running, accepted=lambda: worker.accepted)
    served = Served(
        settings=given,
        worker=worker,
        reader=Words(),
        name="scripted",
        root="nowhere",
        created=1,
        engine="scripted",
        max_model_len=64,
        default_algorithm="basic",
        algorithms=dict,
        end_ids=frozenset(),
        score=score,
        likelihood=score,
        ready=lambda: None,
    )
    return served, metrics


@contextmanager
def model_server(**settings: Any) -> Iterator[Running]:
    """A server of the small model, or of the ``model`` that the settings name."""
    given = ServerSettings(**{"engine": "fast-dllm", "served_model_name": "llada-tiny", **settings})
    model = load_model(given.model, engine=given.engine)
    served, metrics = served_model(model, given)
    served.worker.start()
    try:
        with _listening(application_of(served, metrics), given) as url:
            yield Running(url, served.worker, served)
    finally:
        served.worker.stop(5)


@contextmanager
def _listening(app: FastAPI, settings: ServerSettings) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Quiet(configured(app, settings))
        thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),), name="http")
        thread.start()
        while not server.started:
            time.sleep(0.001)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(5)


class _Quiet(uvicorn.Server):
    """A server that leaves the signals of the tests' process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
