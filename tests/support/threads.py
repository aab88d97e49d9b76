"""Tests of bits that must not depend on how many threads torch has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

__all__ = ["two_threads"]


@pytest.fixture
def two_threads() -> Iterator[None]:
    import torch  # not at the top: most of core's tests need none

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
