"""The end of a server: what becomes of requests in work, of new ones, and of the process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.test_worker import until
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("ending_signals")
SLOW = [pytest.mark.slow, pytest.mark.timeout(120)]  # each is a process that starts
ENDLESS = {"prompt": "a" * 100_000}


class Ending:
    """A server in a process of its own, and what asks it."""

    def __init__(self, run: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.run, self.url, self.log = run, url, log
        self._pool = ThreadPoolExecutor(4)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=30, verify=False, **given)  # it is no HTTPS

    def begin(self, body: dict[str, Any]) -> Future[httpx.Response]:
        """A request that is in work when this returns."""
        before = self.accepted()
        asked = self._pool.submit(self.ask, "POST", "/v1/completions", json=body)
        until(lambda: self.accepted() > before)
        return asked

    def accepted(self) -> float:
        told = self.ask("GET", "/batch/stats").json()
        return float(told["num_requests_running"] + told["num_requests_waiting"])

    def end(self) -> float:
        """Ask it to stop: when that was."""
        self.run.send_signal(signal.SIGTERM)
        return time.monotonic()


@contextmanager
def endless(tmp_path: Path, kind: str, drain: str = "1") -> Iterator[Ending]:
    port = free_port()
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.server.endless", str(port), kind, drain]
    with log.open("wb") as out:
        run = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    server = Ending(run, f"http://127.0.0.1:{port}", log)
    try:
        until(lambda: run.poll() is not None or _lives(server), seconds=30)
        assert run.poll() is None, log.read_text()
        yield server
    finally:
        run.kill()
        run.wait()


def _lives(server: Ending) -> bool:
    try:
        return server.ask("GET", "/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("kind", ["slow", pytest.param("held", marks=SLOW)])
def test_what_does_not_end_in_time_is_answered_and_the_process_ends_well(tmp_path: Path, kind: str) -> None:
    with endless(tmp_path, kind) as server:
        whole, streamed = server.begin(ENDLESS), None
        if kind == "slow":  # where the thread is held, nothing more is accepted
            streamed = server.begin({**ENDLESS, "stream": True})
        began = server.end()
        assert server.run.wait(10) == 0
        assert 1 <= time.monotonic() - began < 3.5
        refused = whole.result()
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "closing"
        assert refused.headers["retry-after"]
        assert "Traceback" not in server.log.read_text()
        if streamed is not None:
            *text, last = [
                line.removeprefix("data: ") for line in streamed.result().text.split("\n\n") if line
            ]
            assert text
            assert json.loads(last)["error"]["code"] == "closing"


def test_new_requests_are_refused_while_running_ones_end(tmp_path: Path) -> None:
    with endless(tmp_path, "slow", "20") as server:
        running = server.begin({"prompt": "a" * 100})
        server.end()
        until(lambda: server.ask("GET", "/ready").status_code == 503)
        assert server.ask("GET", "/health").status_code == 200
        refused = server.ask("POST", "/v1/completions", json={"prompt": "ab"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "closing")
        assert running.result().json()["choices"][0]["text"] == "a" * 100
        assert server.run.wait(10) == 0


def test_nobody_in_work_is_nobody_to_wait_for(tmp_path: Path) -> None:
    with endless(tmp_path, "slow", "20") as server:
        began = server.end()
        assert server.run.wait(10) == 0
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("kind", "second", "status"),
    [
        ("slow", signal.SIGINT, 130),
        ("held", signal.SIGTERM, 143),
        pytest.param("slow", signal.SIGTERM, 143, marks=SLOW),
        pytest.param("held", signal.SIGINT, 130, marks=SLOW),
    ],
)
def test_a_second_signal_ends_at_once(tmp_path: Path, kind: str, second: signal.Signals, status: int) -> None:
    with endless(tmp_path, kind, "60") as server:
        server.begin(ENDLESS)
        server.end()
        until(lambda: server.ask("GET", "/ready").status_code == 503)
        began = time.monotonic()
        server.run.send_signal(second)
        assert server.run.wait(10) == status
        assert time.monotonic() - began < 2


def test_a_body_that_does_not_come_holds_nobody_up(tmp_path: Path) -> None:
    with endless(tmp_path, "slow") as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
            time.sleep(0.2)
            server.end()
            assert server.run.wait(10) == 0
            assert slow.recv(4096).startswith(b"HTTP/1.1 503")
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("kind", ["held", pytest.param("slow", marks=SLOW)])
def test_a_certain_number_of_seconds_may_be_none(tmp_path: Path, kind: str) -> None:
    with endless(tmp_path, kind, "0") as server:
        asked: Callable[[], httpx.Response] = server.begin(ENDLESS).result
        began = server.end()
        assert server.run.wait(10) == 0
        assert time.monotonic() - began < 3
        assert asked().status_code == 503
