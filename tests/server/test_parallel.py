"""A server whose model is split: its ranks end with it, whatever way that is, and a lost one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.test_worker import until
from tests.support.ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ending_signals"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to look at other processes"),
]
SOON = 20.0  # seconds, of a machine that has other things to do
QUESTION = {"messages": [{"role": "user", "content": "What is 12 + 30?"}], "max_tokens": 32}
# Takes far longer than any test waits for: one token a step.
LONG = {"prompt": "word", "max_tokens": 900, "generation_algorithm": "basic", "steps": 900}


class Split:
    """A server on two ranks, in processes of their own."""

    def __init__(self, leader: subprocess.Popen[bytes], url: str) -> None:
        self.leader, self.url = leader, url
        self.follower = 0

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=60, verify=False, **given)  # it is no HTTPS

    def lives(self) -> bool:
        try:
            return self.ask("GET", "/health").status_code == 200
        except httpx.TransportError:
            time.sleep(0.2)  # it loads, and has use for the processors
            return False

    def answers(self) -> bool:
        told = self.ask("POST", "/v1/chat/completions", json=QUESTION).json()
        return bool(told["choices"][0]["message"]["content"] == "12 + 30 = 42.")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """With a request in work."""
        with httpx.stream("POST", f"{self.url}/v1/completions", json=LONG | {"stream": True}, timeout=60):
            until(lambda: self.ask("GET", "/batch/stats").json()["num_requests_running"] == 1, seconds=SOON)
            yield


def parent(pid: int) -> int | None:
    """The parent of a process that has not ended."""
    try:
        state, above = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(above)


@pytest.fixture
def split(tmp_path: Path) -> Iterator[Split]:
    port = free_port()
    flags = ["--device", "cpu", "--tensor-parallel-size", "2", "--port", str(port), "--drain-timeout", "2"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        leader = subprocess.Popen(
            [sys.executable, "-m", "llada_server", *flags],
            stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
    server = Split(leader, f"http://127.0.0.1:{port}")
    try:
        until(lambda: leader.poll() is not None or server.lives(), seconds=60)
        assert leader.poll() is None, log.read_text()
        pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
        (server.follower,) = [pid for pid in pids if parent(pid) == leader.pid]
        yield server
    finally:
        leader.kill()
        leader.wait()


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ((signal.SIGTERM,), 0),
        ((signal.SIGTERM, signal.SIGTERM), 128 + signal.SIGTERM),
        ((signal.SIGKILL,), -signal.SIGKILL),
    ],
)
def test_the_ranks_end_with_the_server(
    split: Split, signals: tuple[signal.Signals, ...], status: int
) -> None:
    os.kill(split.follower, signal.SIGTERM)  # as a service manager does, which asks all
    assert split.answers()
    with split.busy():
        *first, last = signals
        for number in first:
            split.leader.send_signal(number)
            until(lambda: split.ask("GET", "/ready").status_code == 503, seconds=SOON)
        split.leader.send_signal(last)
        assert split.leader.wait(SOON) == status
    until(lambda: parent(split.follower) is None, seconds=SOON)


@pytest.mark.parametrize("busy", [False, True])
def test_a_server_that_loses_a_rank_says_so(split: Split, busy: bool) -> None:
    assert split.answers()
    if busy:
        with split.busy():
            os.kill(split.follower, signal.SIGKILL)
            until(lambda: not split.lives(), seconds=SOON)
    else:
        os.kill(split.follower, signal.SIGKILL)
        until(lambda: not split.lives(), seconds=SOON)
    refused = split.ask("POST", "/v1/chat/completions", json=QUESTION)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "closing")
    split.leader.send_signal(signal.SIGTERM)
    assert split.leader.wait(SOON) == 1
