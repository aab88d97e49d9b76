"""Servers of replicas for tests: ``llada serve --replicas``, and an application behind Ray's own proxy.

``python -m tests.server.ray.clusters PORT`` is the latter, until it is ended.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from llada_server.ray import app
from llada_server.ray.library import imported

__all__ = ["Pool", "needs_ray", "pool", "processes", "proxied", "until"]

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'llada-server[ray]'"
)
_STARTING = 120  # seconds, of a machine that has other work
_MODEL = "ServeReplica:default:Model"  # what Ray calls the processes of replicas


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until it holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class Pool:
    """A server of replicas that listens; ``log`` is what it wrote."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, timeout: float = 60) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout)

    def lives(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/health", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def replicas(self) -> set[int]:
        """The processes of replicas."""
        return {pid for pid in _below(self.process.pid) if _MODEL in _command(pid)}

    def counted(self) -> dict[str, float]:
        """How many answers each replica gave, by its name."""
        with self.client() as client:
            text = client.get("/metrics").text
        found: dict[str, float] = {}
        for line in text.splitlines():
            if line.startswith("llada_steps_total{"):
                name = line.partition('replica="')[2].partition('"')[0]
                found[name] = float(line.rpartition(" ")[2])
        return found


def processes(root: int, name: str) -> set[int]:
    """The processes that came from this one, live, and are called so."""
    return {pid for pid in _below(root) if name in _command(pid)}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _below(root: int) -> set[int]:
    """The processes that came from this one and live."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, left = set[int](), {root}
    while left:
        left = {pid for pid, parent in parents.items() if parent in left}
        found |= left
    return found


@contextmanager
def _started(port: int, *command: str) -> Iterator[Pool]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }
        with log.open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=told, stderr=told, env=environment
            )
            running = Pool(f"http://127.0.0.1:{port}", process, log)
            try:
                until(running.lives, seconds=_STARTING)
                yield running
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def pool(replicas: int, *flags: str) -> Iterator[Pool]:
    """``llada serve`` with so many replicas of the small model."""
    port = _free_port()
    how = ["--engine", "fast-dllm", "--served-model-name", "llada-tiny", "--device", "cpu"]
    with _started(
        port, "llada_server", "--replicas", str(replicas), "--port", str(port), *how, *flags
    ) as running:
        yield running


@contextmanager
def proxied() -> Iterator[Pool]:
    """An application with one replica behind the proxy of a cluster of its own."""
    port = _free_port()
    with _started(port, "tests.server.ray.clusters", str(port)) as running:
        yield running


def main(port: str) -> None:
    """Serve until ended."""
    ray, serve = imported()
    ray.init(address="local", num_cpus=1, include_dashboard=False)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": int(port)})
    args = {"engine": "fast-dllm", "served_model_name": "llada-tiny", "device": "cpu", "api_key": "k"}
    serve.run(app(args))
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
