"""A server that has one example installed, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from threading import Event
from typing import Any

from llada_core.testing import FakeSite, fake_site
from tests.docs.documents import ROOT
from tests.examples.installed import distribution_of
from tests.server.apps import Running
from tests.server.test_worker import until

__all__ = ["LILY", "completion", "installed", "offered", "parts", "parts_together", "steps"]

LILY = (
    "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. How "
    "many kilometers can she run in 8 hours?"
)
NEEDED = ("numpy", "safetensors", "torch", "transformers")
HERE = ("llada-runtime", "llada-fastdllm")  # beside the example, and importable without the site


@contextmanager
def installed(example: str) -> Iterator[FakeSite]:
    """A site with the example, with the engine that it may stand on and with nothing else."""
    with fake_site() as site:
        for name in NEEDED:
            site.add(name, version=metadata.version(name))
        for name in HERE:
            site.install(distribution_of(ROOT / "packages" / name, modules=False))
        site.install(distribution_of(ROOT / "examples" / example, modules=True))
        with site.shared():
            yield site


def completion(server: Running, **asked: Any) -> dict[str, Any]:
    """The answer to a prompt, at once."""
    with server.client() as client:
        response = client.post("/v1/completions", json={"prompt": LILY, "max_tokens": 64, **asked})
    told: dict[str, Any] = response.json()
    assert response.status_code == 200, told
    return told


def parts(server: Running, **asked: Any) -> list[str]:
    """The same as it is streamed, text by text."""
    with server.client() as client:
        asked = {"prompt": LILY, "max_tokens": 64, "stream": True, **asked}
        response = client.post("/v1/completions", json=asked)
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1]]
    return [choice["text"] for event in events for choice in event["choices"] if choice["text"]]


def parts_together(server: Running, *asked: dict[str, Any]) -> list[list[str]]:
    """The same of several requests that begin at once: the model's thread is held until all have come."""
    held, go = Event(), Event()

    def hold() -> bool:
        held.set()
        return go.wait(10)

    server.worker.ask(hold)
    assert held.wait(10), "the thread is at something else"
    with ThreadPoolExecutor(len(asked)) as clients:
        told = [clients.submit(parts, server, **each) for each in asked]
        try:
            until(lambda: server.worker.accepted == len(asked) + 1)
        finally:
            go.set()
        return [each.result() for each in told]


def steps(server: Running) -> float:
    """How many steps the model's thread has made."""
    with server.client() as client:
        return float(client.get("/batch/stats").json()["steps_total"])


def offered(server: Running) -> dict[str, Any]:
    with server.client() as client:
        listed = client.get("/generation/algorithms").json()["data"]
    return {each["name"]: each for each in listed}
