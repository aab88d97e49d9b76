"""Servers of replicas for tests: ``llada serve --replicas``, and an application behind Ray's own proxy.

``python -m tests.server.ray.clusters PORT`` is the latter, until its stdin ends.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llada_server.ray.library import imported
from tests.support.ports import free_port

__all__ = ["KEY", "Pool", "needs_ray", "pool", "processes", "proxied", "until"]

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'llada-server[ray]'"
)
KEY = {"Authorization": "Bearer k"}
_STARTING = 240  # seconds, of a machine that has other work
_PAUSE = 0.2  # seconds between two looks at one that starts, and needs the cores
_TRIES = 3
_TOO_LATE = "The current node timed out during startup"  # by 30 s of Ray that nobody can change
_MODEL = "ServeReplica:default:Model"  # what Ray calls the processes of replicas
_PREFIX = "/llada"


def until(condition: Callable[[], bool], *, seconds: float = 60, pause: float = 0.01) -> None:
    """Wait until it holds, with a pause between two looks; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        time.sleep(pause)


@dataclass(frozen=True)
class Pool:
    """A server of replicas that listens; ``log`` is what it wrote."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, timeout: float = 240) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout, headers=KEY)

    def lives(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            # It is no HTTPS, and to read the machine's certificates would cost more than the look.
            return httpx.get(f"{self.url}/health", timeout=10, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def lives_or_ended(self) -> bool:
        return self.process.poll() is not None or self.lives()

    def processes(self) -> set[int]:
        """Those that came from the server and live."""
        return _below(self.process.pid)

    def replicas(self) -> set[int]:
        """The processes of replicas."""
        return processes(self.process.pid, _MODEL)

    def figures(self, name: str = "llada_num_requests_running", **labels: str) -> dict[str, float]:
        """A figure of each replica by its name, of these ``labels``, summed over others."""
        with self.client() as client:
            text = client.get("/metrics").text
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    replica = sample.labels["replica"]
                    found[replica] = found.get(replica, 0.0) + sample.value
        return found

    def scale(self, replicas: int) -> None:
        """Ask for so many replicas; of ``proxied`` alone."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{replicas}\n".encode())
        self.process.stdin.flush()


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
def _started(url: str, *command: str, **variables: str) -> Iterator[Pool]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            **variables,
        }
        running = _begun(url, command, log, environment)
        try:
            until(running.lives, seconds=_STARTING, pause=_PAUSE)
            yield running
        finally:
            _end(running.process)


def _begun(url: str, command: tuple[str, ...], log: Path, environment: dict[str, str]) -> Pool:
    """A server that listens or has failed; started again where Ray was not given the time that it takes."""
    for _ in range(_TRIES):
        with log.open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.PIPE,
                stdout=told,
                stderr=told,
                env=environment,
            )
        running = Pool(url, process, log)
        try:
            until(running.lives_or_ended, seconds=_STARTING, pause=_PAUSE)
        except BaseException:
            _end(process)
            raise
        if process.poll() is None or _TOO_LATE not in log.read_text():
            break
    return running


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def pool(replicas: int, *flags: str) -> Iterator[Pool]:
    """``llada serve`` with so many replicas of the small model."""
    port = free_port()
    how = ["--engine", "fast-dllm", "--served-model-name", "llada-tiny", "--device", "cpu"]
    command = ["llada_server", "--replicas", str(replicas), "--port", str(port), *how, *flags]
    with _started(f"http://127.0.0.1:{port}", *command) as running:
        yield running


@contextmanager
def proxied() -> Iterator[Pool]:
    """An application with one replica behind the proxy of a cluster of its own, under a path."""
    port = free_port()
    url, command = f"http://127.0.0.1:{port}{_PREFIX}", ("tests.server.ray.clusters", str(port))
    with _started(url, *command, LLADA_API_KEY="k") as running:
        yield running


def configuration(replicas: int) -> dict[str, Any]:
    """Serve's, of an application with so many replicas."""
    args = {
        "engine": "fast-dllm",
        "served-model-name": "llada-tiny",
        "device": "cpu",
        "max_body": 10_000,
        "drain_timeout": 120,
        "cors_origins": ["https://mine.example"],
    }
    application = {
        "name": "default",
        "route_prefix": _PREFIX,
        "import_path": "llada_server.ray:app",
        "args": args,
        "deployments": [{"name": "Model", "num_replicas": replicas}],
    }
    return {"applications": [application]}


def main(port: str) -> None:
    """Serve as ``serve deploy`` lets a cluster do; each line of stdin tells how many replicas are to be."""
    ray, serve = imported()
    schema, context = map(importlib.import_module, ("ray.serve.schema", "ray.serve.context"))
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": int(port)})
    client = context._get_global_client()  # as the library's own server of configurations does
    for replicas in itertools.chain("1", sys.stdin):
        client.deploy_apps(schema.ServeDeploySchema.model_validate(configuration(int(replicas))))


if __name__ == "__main__":
    main(*sys.argv[1:])
