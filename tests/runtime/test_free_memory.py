"""How much may be kept: what the machine has free, what a container leaves, and what a column takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llada_runtime import LLaDAModel
from llada_runtime.network import free_memory, transformer

CPU = torch.device("cpu")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the system would have, 3,000 KiB available and no container's limit."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 3000 kB\n")
    monkeypatch.setattr(free_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "_CGROUP", tmp_path)
    return tmp_path


def limit(machine: Path, most: str) -> None:
    (machine / "memory.max").write_text(most)
    (machine / "memory.current").write_text("700000")
    (machine / "memory.stat").write_text("anon 5\ninactive_file 200000\n")


def test_what_is_available_is_free(machine: Path) -> None:
    assert free_memory.free_bytes(CPU) == 3000 * 1024
    limit(machine, "max\n")
    assert free_memory.free_bytes(CPU) == 3000 * 1024


def test_a_container_leaves_less(machine: Path) -> None:
    limit(machine, "1000000\n")
    assert free_memory.free_bytes(CPU) == 500_000
    limit(machine, "400000\n")
    assert free_memory.free_bytes(CPU) == 0


def test_a_machine_that_does_not_tell_has_half_of_what_is_built_in(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert 0 < free_memory.free_bytes(CPU) == free_memory._physical() // 2


def test_affordable_columns_leave_a_tenth(model: LLaDAModel, monkeypatch: pytest.MonkeyPatch) -> None:
    column = 2 * 2 * 2 * 4 * 4  # keys and values, 2 layers, 2 heads of 4 channels, 4 bytes
    monkeypatch.setattr(transformer, "free_bytes", lambda device: 100 * column + 9)
    assert model.affordable_columns() == 90
    assert model.new_cache(columns=90).free == 90


@pytest.mark.gpu
def test_a_gpu_has_free_what_torch_holds_and_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    torch.empty(64 << 20, dtype=torch.uint8, device=device)  # torch keeps it for the next one
    # Other programs on the card change what the driver has free between two looks.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 1 << 40))
    before = free_memory.free_bytes(device)
    held = torch.empty(64 << 20, dtype=torch.uint8, device=device)
    during = free_memory.free_bytes(device)
    del held
    assert before - during == 64 << 20
    assert free_memory.free_bytes(device) == before >= (1 << 30) + (64 << 20)
