"""A kernel that has been launched is launched again as the program that its arguments took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

launching: Any = pytest.importorskip("llada_runtime.network.kernels.launch", reason="it needs Triton")


class Kernel:
    """What stands for Triton's: each program notes its arguments."""

    def __init__(self) -> None:
        self.compiled: list[tuple[Any, ...]] = []

    def __getitem__(self, grid: tuple[int, int, int]) -> Callable[..., Any]:
        def compiled(*args: Any, **options: Any) -> Any:
            self.compiled.append(args)
            return {grid: lambda *args: None}

        return compiled


@pytest.mark.parametrize(
    ("first", "second", "programs"), [(2, 2, 1), (1.0, 1, 2), (1, True, 2), (0.5, 0.5, 1), (1, 2, 2)]
)
def test_numbers_of_one_program_are_equal_and_of_one_type(
    monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, programs: int
) -> None:
    monkeypatch.setattr(launching, "_programs", {})
    kernel, memory = Kernel(), torch.zeros(16)
    for number in (first, second):
        launching.launch(kernel, (1, 1, 1), memory, number)
    assert len(kernel.compiled) == programs
