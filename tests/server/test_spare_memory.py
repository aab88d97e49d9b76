"""Freed memory goes back to the system, now and then, while the model's thread works."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from llada_core.generation.results import GenerationRequest
from llada_server.scheduler.spare_memory import SpareMemory, trimmer
from llada_server.scheduler.worker import Worker
from tests.server.fakes import ScriptedSession, Silent


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(trimmer() is None, reason="the C library is not glibc")
def test_memory_that_was_freed_between_other_memory_goes_back_to_the_system() -> None:
    times = iter([0.0, 5.0, 5.0])
    spare = SpareMemory(trimmer(), clock=lambda: next(times))
    held = [bytearray(b"x" * 65_536) for _ in range(1024)]
    del held[::2]  # 32 MiB, in gaps that the heap keeps
    before = resident()
    spare.give_back()
    assert before - resident() > 16 * 2**20
    assert len(held) == 512


def test_memory_is_given_back_every_five_seconds_at_most() -> None:
    now, trims = [0.0], []
    spare = SpareMemory(lambda: trims.append(now[0]), clock=lambda: now[0])
    for now[0] in (1.0, 4.9, 5.0, 5.1, 9.9, 10.0, 11.0, 45.0):
        spare.give_back()
    assert trims == [5.0, 10.0, 45.0]


def test_where_nothing_gives_memory_back_nothing_is_tried() -> None:
    times = iter([0.0])
    SpareMemory(None, clock=lambda: next(times)).give_back()
    assert list(times) == []


def test_the_models_thread_tidies_up_while_it_works() -> None:
    tidied = threading.Event()
    worker = Worker(ScriptedSession, limit=2, watcher=Silent(), tidy=tidied.set)
    worker.start()
    worker.post(GenerationRequest(prompt="Hello"), lambda event: None)
    assert tidied.wait(5)
    assert worker.stop(5)
