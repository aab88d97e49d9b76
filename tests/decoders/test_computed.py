"""What a row tells of its forwards is what the network ran: shadows, drafts, guidance and far columns too."""

from __future__ import annotations

import random
from typing import Any

import pytest

import llada_core
from llada_core.generation.computed import Computed
from llada_runtime import LLaDAModel, Sequence, drain
from llada_runtime.network.layout import Layout
from llada_runtime.testing import small_llada
from tests.decoders.drawn_rows import NAMES, drawn

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def rows_of(model: LLaDAModel, name: str) -> list[Sequence]:
    """Rows of random prompts and parameters."""
    source, algorithm = random.Random(name), llada_core.get_algorithm(name)
    return [
        algorithm.sequence(
            model, [source.randrange(20) for _ in range(source.randint(1, 9))], drawn(name, source)
        )
        for _ in range(6)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_forwards_are_those_that_the_network_ran(
    model: LLaDAModel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name not in llada_core.list_algorithms():
        pytest.skip(f"{name} is not installed")
    packed: list[int] = []
    made = Layout.of

    def of(*spans: Any, **how: Any) -> Layout:
        layout = made(*spans, **how)
        packed.append(len(layout.ids))
        return layout

    monkeypatch.setattr(Layout, "of", of)
    rows = rows_of(model, name)
    steps = list(drain(model, rows, rows=3))
    assert [step.error for step in steps if step.error is not None] == []
    assert sum((row.computed for row in rows), Computed()).columns == sum(packed)
    assert all(row.computed.forwards == row.nfe for row in rows)
