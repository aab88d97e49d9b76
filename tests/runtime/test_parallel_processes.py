"""Ranks as processes: they end with rank 0, whatever way it ends, and it never waits for one that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import CheckpointError, GenerationError
from llada_runtime import LLaDAModel
from llada_runtime.models.register import load_network
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.parallel.start import load_parallel
from llada_runtime.testing import write_llada

SOON = 10.0  # seconds, of a machine that has other things to do


def logits(network: Any) -> torch.Tensor:
    span = Span(ids=[1, 2, 3], lo=0, hi=3, length=3, head_lo=0, head_hi=3)
    return network.logits(Layout.of([span], device=network.device, merge=network.merges), None)


def processes(network: Any) -> list[subprocess.Popen[bytes]]:
    return network._crew._processes


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_llada(tmp_path)


@pytest.fixture
def split(checkpoint: Path) -> Iterator[Any]:
    network = load_network(checkpoint, device="cpu", tensor_parallel=2)
    yield network
    network.close()


def test_a_closed_model_has_ended_its_processes(split: Any, checkpoint: Path) -> None:
    expected = logits(LLaDAModel.from_pretrained(checkpoint, device="cpu"))
    torch.testing.assert_close(logits(split), expected, rtol=1e-5, atol=1e-5)
    (other,) = processes(split)
    assert other.poll() is None
    split.close()
    assert other.poll() == 0


def test_a_rank_that_is_killed_in_a_forward_ends_it_with_an_error(split: Any) -> None:
    (other,) = processes(split)
    other.send_signal(signal.SIGSTOP)
    timer = threading.Timer(0.5, other.kill)
    timer.start()
    begin = time.monotonic()
    for _ in range(2):
        with pytest.raises(GenerationError, match=r"rank 1 of 2 has ended \(by SIGKILL\); load the model ag"):
            logits(split)
    assert time.monotonic() - begin < SOON


def test_a_rank_that_is_killed_between_forwards_is_noticed(split: Any) -> None:
    logits(split)
    (other,) = processes(split)
    other.kill()
    other.wait()
    with pytest.raises(GenerationError, match=r"rank 1 of 2 has ended \(by SIGKILL\)"):
        split.new_cache(columns=10)


def test_a_rank_that_cannot_load_its_part_says_why(
    checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=r"rank 1 of 2 has ended \(.*the disk is gone\)"):
        load_parallel("tests.support.ranks:FailsAtRankOne", checkpoint, size=2, device="cpu")
    assert time.monotonic() - begin < 2 * SOON
    assert capfd.readouterr().out == ""  # which is for answers


PROGRAM = """
import os, sys, time
from llada_runtime.models.register import load_network
network = load_network(sys.argv[1], device="cpu", tensor_parallel=2)
if not os.fork():  # holds all connections open, and has no say when it ends
    time.sleep(20)
    os._exit(0)
print(network._crew._processes[0].pid, flush=True)
time.sleep(100)
"""


def gone(pid: int) -> bool:
    """Whether the process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to look at other processes")
@pytest.mark.parametrize(
    "end",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=[pytest.mark.slow, pytest.mark.timeout(120)])],
)
@pytest.mark.usefixtures("ending_signals")
def test_ranks_end_with_rank_0_whatever_ends_it(
    checkpoint: Path, tmp_path: Path, end: signal.Signals
) -> None:
    (place := tmp_path / "temporary").mkdir()
    leader = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, checkpoint],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**_environment(), "TMPDIR": str(place)},
    )  # fmt: skip
    assert leader.stdout is not None
    with leader.stdout as said:
        other = int(said.readline())
    assert not gone(other)
    leader.send_signal(end)
    leader.wait(SOON)
    assert _within(lambda: gone(other))
    assert not list(place.iterdir()), "something is left behind"


def _within(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


LAUNCHED = """
import sys
from llada_core import UsageError
from llada_runtime.models.register import load_network
from tests.runtime.test_parallel_processes import logits
network = load_network(sys.argv[1], device="cpu", tensor_parallel=2)
print("logits", float(logits(network).sum()))
try:
    load_network(sys.argv[1], device="cpu", tensor_parallel=2)
except UsageError as exc:
    print(exc)
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("status", [0, 3])
def test_what_torchrun_started_is_one_model(checkpoint: Path, tmp_path: Path, status: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(LAUNCHED)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [sys.executable, *launch, program, checkpoint, str(status)],
        capture_output=True, text=True, timeout=100, env=_environment(), check=False,
    )  # fmt: skip
    expected = float(logits(LLaDAModel.from_pretrained(checkpoint, device="cpu")).sum())
    first, second = ran.stdout.splitlines()  # of rank 0 alone
    assert float(first.removeprefix("logits ")) == pytest.approx(expected, rel=1e-4)
    assert "are the ranks of another model already" in second
    assert (ran.returncode == 0) == (status == 0), ran.stderr
