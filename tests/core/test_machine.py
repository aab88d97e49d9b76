"""How much main memory is free: what the machine has, and what a container leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core import machine as facts
from llada_core.machine import free_main_memory, main_memory, multiplies_bfloat16, processor


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the system would have, 3,000 KiB available and no container's limit."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 3000 kB\n")
    monkeypatch.setattr(facts, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(facts, "_CGROUP", tmp_path)
    return tmp_path


def limit(machine: Path, most: str) -> None:
    (machine / "memory.max").write_text(most)
    (machine / "memory.current").write_text("700000")
    (machine / "memory.stat").write_text("anon 5\ninactive_file 200000\n")


def test_what_is_available_is_free(machine: Path) -> None:
    assert free_main_memory() == 3000 * 1024
    limit(machine, "max\n")
    assert free_main_memory() == 3000 * 1024


def test_a_container_leaves_less(machine: Path) -> None:
    limit(machine, "1000000\n")
    assert free_main_memory() == 500_000
    limit(machine, "400000\n")
    assert free_main_memory() == 0


def test_a_machine_that_does_not_tell_has_half_of_what_is_built_in(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert 0 < free_main_memory() == facts._physical() // 2


def test_all_memory_is_that_of_the_machine_or_its_container(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_physical", lambda: 5_000_000)
    assert main_memory() == 5_000_000
    limit(machine, "max\n")
    assert main_memory() == 5_000_000
    limit(machine, "1000000\n")
    assert main_memory() == 1_000_000


def test_the_processor_has_a_name_or_at_least_an_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: "abacus")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert processor() == "abacus"
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert processor() == "abacus"
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A Processor: fast\n")
    assert processor() == "A Processor: fast"


def test_a_matrix_unit_for_bfloat16_is_seen_by_its_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_CPUINFO", tmp_path / "cpuinfo")
    assert not multiplies_bfloat16()
    for flags, expected in (("avx512_bf16 amx_tile", False), ("fpu amx_bf16 avx2", True)):
        (tmp_path / "cpuinfo").write_text(f"model name\t: amx_bf16\nflags\t\t: {flags}\n")
        assert multiplies_bfloat16() == expected
