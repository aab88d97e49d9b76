"""``llada batch run --ray`` with two workers of the small model on a cluster of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llada_server.batch import running
from tests.server.batch.files import answers_in, completion, write
from tests.server.batch.test_killed import said, size_of
from tests.server.ray.clusters import needs_ray, processes, until
from tests.support.program import Llada

pytestmark = [needs_ray, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("ray")]
LINES = 60
PATIENCE = 240  # seconds, of a machine that has other work
FLAGS = ("--device", "cpu", "--dtype", "float32", "--engine", "fast-dllm", "--max-num-seqs", "8")
RAY = ("--ray", "--ray-address", "local", "--replicas", "2")
WORKER = "MapWorker"  # what Ray Data calls the processes of workers


def questions() -> list[str]:
    """Requests, among them some that fail and some that are none."""
    lines = [
        completion(f"q{n}", f"{n} + {n * 7 % 90} = ", max_tokens=16, seed=n, temperature=n % 2)
        for n in range(LINES - 2)
    ]
    return [*lines, completion("wrong", "a", treshold=1), completion("model", "a", model="gpt-4")]


@contextmanager
def begun(source: Path, out: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "llada_core", "batch", "run", str(source), "--out", str(out)]
    environment = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "OMP_NUM_THREADS": "1"}
    with (
        out.with_suffix(".log").open("a") as log,
        subprocess.Popen([*command, *FLAGS, *flags], stderr=log, text=True, env=environment) as run,
    ):
        try:
            yield run
        finally:
            run.kill()


def log_of(out: Path) -> str:
    return out.with_suffix(".log").read_text()


def count(out: Path) -> int:
    return len(out.read_bytes().splitlines()) if out.exists() else 0


def test_a_worker_and_the_command_are_killed_and_all_is_as_without_a_cluster(
    tmp_path: Path, llada: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "freeze", lambda: None)
    source = write(tmp_path / "in.jsonl", questions())
    alone, out = tmp_path / "alone.jsonl", tmp_path / "out.jsonl"
    assert llada("batch", "run", str(source), "--out", str(alone), *FLAGS).status == running.FAILED
    with begun(source, out, *RAY) as run:
        until(lambda: run.poll() is not None or size_of(out) > 0, seconds=PATIENCE)
        workers = processes(run.pid, WORKER)
        assert len(workers) == 2, log_of(out)
        run.kill()
    assert 0 < count(out) < LINES
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), seconds=PATIENCE)
    before = count(out)
    with begun(source, out, *RAY) as run:
        until(lambda: run.poll() is not None or count(out) > before, seconds=PATIENCE)
        os.kill(min(processes(run.pid, WORKER)), signal.SIGKILL)
        assert run.wait(PATIENCE) == 3, log_of(out)
    assert f"{LINES} requests · 2 failed · {before} done before" in log_of(out)
    assert re.search(r"^workers: 2, cores of each: \d+, GPUs of each: 0, up to 8", log_of(out), re.MULTILINE)
    expected, found = answers_in(alone), answers_in(out)
    assert {name: said(each) for name, each in found.items()} == {n: said(e) for n, e in expected.items()}
