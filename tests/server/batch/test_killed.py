"""A batch that is killed again and again has every answer once, and the answers of one that was not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.batch.files import answers_in, chat, write

KILLS, LINES = 10, 300


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


def wait_for(run: subprocess.Popen[str], file: Path, size: int) -> None:
    """Return once the file has so many bytes, or the process has ended."""
    while run.poll() is None and size_of(file) < size:
        time.sleep(0.001)


def said(answer: dict[str, Any]) -> Any:
    """What an answer says, without what each run has for itself."""
    response = answer["response"]
    body = response["body"]
    told = body.get("error") or (body["choices"], body["usage"], body["generation"]["nfe"])
    return response["status_code"], told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", questions())
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    with begun(source, whole) as run:
        assert run.wait() == 3, run.communicate()
    chance, sizes = random.Random(7), set[int]()
    for number in range(KILLS):
        with begun(source, out) as run:
            if number % 4:
                wait_for(run, out, size_of(out) + chance.randrange(1, size_of(whole) // KILLS))
            else:  # while it reads and loads, or just after
                time.sleep(chance.uniform(0, 5))
            run.kill()
        sizes.add(size_of(out))
    assert len(sizes) > KILLS // 2  # it was at work when it was killed
    with begun(source, out) as run:
        assert run.wait() == 3, run.communicate()
    expected, found = answers_in(whole), answers_in(out)
    assert len(found) == LINES
    assert {name: said(each) for name, each in found.items()} == {n: said(e) for n, e in expected.items()}
