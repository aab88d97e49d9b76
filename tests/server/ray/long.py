"""Requests that are long enough to do something to the replica that has them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from tests.server.ray.clusters import Pool, until

__all__ = ["LONG", "Stream", "on_each"]

# As many forwards as tokens, each of a block: longer than it takes to ask four of them, and cheap.
LONG: dict[str, Any] = {
    "prompt": "Once",
    "max_tokens": 256,
    "algorithm": "dual_cache",
    "threshold": None,
    "steps": 256,
    "early_stop": False,
}
_MOST = 12  # requests until each replica must have one
_Asked = TypeVar("_Asked")


class Stream:
    """A long stream that has begun, read in a thread."""

    def __init__(self, server: Pool, threads: ThreadPoolExecutor) -> None:
        self._lines: list[str] = []
        self._reading: Future[None] = threads.submit(self._read, server)
        until(lambda: bool(self._lines) or self._reading.done())

    def lines(self) -> list[str]:
        """The data of every event, once there are no more."""
        self._reading.result()
        return self._lines

    def _read(self, server: Pool) -> None:
        asking = {**LONG, "stream": True, "stream_options": {"denoise": True}}
        with server.client() as client, client.stream("POST", "/v1/completions", json=asking) as answer:
            assert answer.status_code == 200
            for line in filter(None, answer.iter_lines()):
                self._lines.append(line.removeprefix("data: "))


def on_each(server: Pool, ask: Callable[[], _Asked]) -> list[_Asked]:
    """What ``ask`` returned, called until each replica runs a request more than before."""
    before = server.figures()
    asked: list[_Asked] = []

    def all_run() -> bool:
        return sum(server.figures().values()) >= sum(before.values()) + len(asked)

    while not all(running > before.get(replica, 0) for replica, running in server.figures().items()):
        assert len(asked) < _MOST
        asked.append(ask())
        until(all_run)
    return asked
