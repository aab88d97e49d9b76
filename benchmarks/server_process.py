"""The server as a process of its own, for the benchmarks of it: started, watched from outside, and stopped.

Memory and processor time are read in `/proc`, so this runs on Linux only. Imports no torch, so that a process
that only asks for `/health` starts at once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

__all__ = ["ServerProcess", "probe_health", "quantile", "serving"]

PATIENCE = 300.0  # seconds that a start may take, of replicas on a busy machine
ENGINE = "fast-dllm"
EXACT = ("--engine", ENGINE, "--device", "cpu", "--dtype", "float32")  # answers alone are equal to the bit


@dataclass(slots=True)
class ServerProcess:
    """A server that listens at ``url``; ``began`` is when it was started, by ``time.perf_counter``."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    began: float

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def processor_seconds(self) -> float:
        """What all its threads have computed so far, by the clock of the process.

        `/proc/<pid>/stat` may count whole ticks, and charges one to whoever wakes when it comes.
        """
        return time.clock_gettime(~self.process.pid << 3 | 2)  # as clock_getcpuclockid(3) does on Linux

    @property
    def wakeups(self) -> int:
        """How often its threads of now have gone to rest."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(_field(task / "status", "voluntary_ctxt_switches") for task in tasks)

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def stats(self) -> dict[str, float]:
        """What `/batch/stats` tells."""
        told: dict[str, float] = httpx.get(f"{self.url}/batch/stats", timeout=30).json()
        return told

    def metrics(self) -> str:
        """What `/metrics` tells, in Prometheus' text format."""
        return httpx.get(f"{self.url}/metrics", timeout=30).text

    def stop(self) -> int | None:
        """Ask it to stop, as a supervisor does: its exit status, None where it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def wait_until_healthy(self) -> None:
        """Return once `/health` is 200. Raises ``SystemExit`` with its log where it ends before."""
        while time.perf_counter() < self.began + PATIENCE:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}: {self.log.read_text()}")
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise SystemExit(f"the server did not start within {PATIENCE:g} s: {self.log.read_text()}")


def _field(status: Path, name: str) -> int:
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[name])


@contextmanager
def serving(
    *flags: str, path: Path | None = None, program: Sequence[str] = ("-m", "llada_server")
) -> Iterator[ServerProcess]:
    """The embedded model served with these flags on a free port; plugins in ``path`` are found.

    Another ``program`` may serve it, which Python runs; it is told its ``--port`` as the server is.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        port = free_port()
        command = [sys.executable, *program, "--port", str(port), *flags]
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, env=_environment(path))
        server = ServerProcess(f"http://127.0.0.1:{port}", process, log, began)
        try:
            server.wait_until_healthy()
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def free_port() -> int:
    """A port of this machine on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment(path: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLADA_")}
    paths = [str(path)] if path else []
    return {**kept, "PYTHONPATH": os.pathsep.join([*paths, *filter(None, [kept.get("PYTHONPATH")])])}


def probe_health(url: str, ended: Any, told: Connection, pause: float = 0.05) -> None:
    """Ask for `/health` until the event ``ended`` is set, then send how long each took, in seconds.

    For a process of its own: a client that is busy with other things would add its own delays. One that was
    not answered with 200 counts as infinite.
    """
    taken: list[float] = []
    with httpx.Client(base_url=url, timeout=30) as client:
        while not ended.wait(pause):
            began = time.perf_counter()
            try:
                healthy = client.get("/health").status_code == 200
            except httpx.HTTPError:
                healthy = False
            taken.append(time.perf_counter() - began if healthy else float("inf"))
    told.send(taken)


def quantile(values: list[float], share: float) -> float:
    """The smallest of ``values`` that at least ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
