"""Rows with a pruned suffix and rows with drafts, beside each other and rows of other decoders."""

from __future__ import annotations

import random
from typing import Any

import pytest

import llada_core
from llada_runtime import LLaDAModel, Sequence, drain
from llada_runtime.reference import follow
from llada_runtime.testing import small_llada

pytestmark = pytest.mark.alone

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("streaming", {"threshold": 0.3, "window_size": 2}),
    ("freedave", {"draft_steps": 3}),
    ("dual_cache", {"threshold": 0.3}),
    ("freedave", {"draft_steps": 5, "cache": "dual", "threshold": 0.4}),
    ("streaming", {"threshold": None, "window_size": 0, "steps": 6}),
    ("basic", {"threshold": 0.3}),
    ("dinfer_hierarchy", {"prefix_look": 2, "after_look": 2}),
    ("freedave", {"draft_steps": 1, "early_exit": True}),
    ("streaming", {"temperature": 0.8, "seed": 5, "window_size": 1}),
    ("streaming", {"factor": 1.0, "early_stop": False}),
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def row(model: LLaDAModel, name: str, params: dict[str, Any], seed: int) -> Sequence:
    """A row of a random prompt and lengths, by the seed."""
    source, algorithm = random.Random(seed), llada_core.get_algorithm(name)
    lengths = {"gen_length": source.randint(6, 15), "block_length": source.choice([3, 4, 8])}
    effective = algorithm.validate_args(**{**lengths, **params})
    return algorithm.sequence(model, [source.randrange(20) for _ in range(source.randint(1, 9))], effective)


def test_each_row_is_the_reference_of_it_alone(model: LLaDAModel) -> None:
    """By a forward that is written out, without packed rows."""
    known = llada_core.list_algorithms()
    asked = [(*each, seed) for seed, each in enumerate(SETTINGS) if each[0] in known]
    together = [row(model, *each) for each in asked]
    assert not [step.error for step in drain(model, together, rows=len(together)) if step.error is not None]
    assert [(each.canvas, each.nfe) for each in together] == [
        follow(model, row(model, *each)) for each in asked
    ]
