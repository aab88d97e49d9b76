"""How much may be kept: what a device has free, and what a column takes."""

from __future__ import annotations

import pytest
import torch

from llada_runtime import LLaDAModel
from llada_runtime.network import free_memory, transformer


def test_on_the_cpu_it_is_main_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_main_memory", lambda: 17)
    assert free_memory.free_bytes(torch.device("cpu")) == 17


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
