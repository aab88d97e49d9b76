"""A batch that is killed again and again has every answer once, and the answers of one that was not.

``LLADA_TEST_KILLS`` and ``LLADA_TEST_LINES`` ask for more of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.batch.files import answers_in, chat, write

KILLS = int(os.environ.get("LLADA_TEST_KILLS", "4"))
LINES = int(os.environ.get("LLADA_TEST_LINES", "100"))
EARLY = KILLS // 3  # kills of these: while it reads and loads, or just after


def questions() -> list[str]:
    """Requests of several kinds; what is drawn is seeded."""
    chance = random.Random(5)
    kinds: list[dict[str, Any]] = [
        {},
        {"algorithm": "basic", "steps": 8},
        {"temperature": 1.0, "seed": 3},
        {"threshold": 9},
    ]
    sums = [f"What is {chance.randrange(90)} + {chance.randrange(90)}?" for _ in range(LINES)]
    return [chat(f"q{n}", text, max_tokens=16, **kinds[n % 4]) for n, text in enumerate(sums)]


def begun(source: Path, out: Path) -> subprocess.Popen[str]:
    flags = ["--device", "cpu", "--dtype", "float32", "--engine", "fast-dllm"]
    command = [sys.executable, "-m", "llada_core", "batch", "run", str(source), "--out", str(out), *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def end(run: subprocess.Popen[str]) -> None:
    """Kill it; it has not ended by itself."""
    run.kill()
    _, told = run.communicate()
    assert run.returncode == -signal.SIGKILL, told


def killed(source: Path, out: Path, *, size: int) -> None:
    """Go on with the batch, and kill it once its output has so many bytes."""
    with begun(source, out) as run:
        while run.poll() is None and size_of(out) < size:
            time.sleep(0.001)
        end(run)


def killed_early(source: Path, out: Path, *, seconds: float) -> None:
    """Begin to go on with the batch, and kill it so many seconds later."""
    with begun(source, out) as run:
        time.sleep(seconds)
        end(run)


def said(answer: dict[str, Any]) -> Any:
    """What an answer says, without what each run has for itself."""
    response = answer["response"]
    body = response["body"]
    told = body.get("error") or (body["choices"], body["usage"], body["generation"]["nfe"])
    return response["status_code"], told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_over_all_of_the_file_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", questions())
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    with begun(source, whole) as run:
        assert run.wait() == 3, run.communicate()
    chance, stride = random.Random(7), size_of(whole) // (KILLS - EARLY + 1)
    for number in range(KILLS - EARLY):
        if number < EARLY:
            killed_early(source, out, seconds=chance.uniform(0, 2))
        killed(source, out, size=number * stride + chance.randrange(1, stride))
    with begun(source, out) as run:
        assert run.wait() == 3, run.communicate()
    expected, found = answers_in(whole), answers_in(out)
    assert len(found) == LINES
    assert {name: said(each) for name, each in found.items()} == {n: said(e) for n, e in expected.items()}
