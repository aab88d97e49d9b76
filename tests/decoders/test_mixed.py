"""Rows of these decoders beside rows of any others: each has the tokens and forwards of the row alone."""

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
    ("llada", {"cfg_scale": 0.7, "steps": 5}),
    ("llada", {"order": "margin", "logits_eos_inf": True}),
    ("llada", {"confidence_eos_eot_inf": True, "cfg_scale": 0.4}),
    ("eb_sampler", {"gamma": 2.0}),
    ("eb_sampler", {"gamma": 3.0, "order": "confidence", "cfg_scale": 0.5}),
    ("klass", {"conf_threshold": 0.1, "kl_threshold": 0.5}),
    ("klass", {"conf_threshold": 0.1, "kl_threshold": 1.0, "unmask_strategy": "random", "seed": 3}),
    ("adablock", {"threshold": 0.3, "delimiter_ids": "1,3,4,8", "delimiter_threshold": 0.05}),
    (
        "adablock",
        {"threshold": 0.3, "delimiter_ids": "1,3,4,8", "cache": "prefix", "temperature": 0.5, "seed": 3},
    ),
    ("multiblock", {"threshold": 2.5, "block_add_threshold": 0.1}),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("basic", {"threshold": 0.3}),
    ("dual_cache", {"threshold": 0.3}),
    ("dinfer_hierarchy", {"prefix_look": 2, "after_look": 2}),
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def row(model: LLaDAModel, name: str, params: dict[str, Any], seed: int) -> Sequence:
    """A row of a random prompt and lengths, by the seed."""
    source, algorithm = random.Random(seed), llada_core.get_algorithm(name)
    lengths = {"gen_length": source.randint(1, 12), "block_length": source.choice([3, 4, 8])}
    effective = algorithm.validate_args(**{**lengths, **params})
    return algorithm.sequence(model, [source.randrange(20) for _ in range(source.randint(1, 9))], effective)


def decoded(model: LLaDAModel, *rows: Sequence) -> list[tuple[list[int], int]]:
    assert not [step.error for step in drain(model, rows, rows=len(rows)) if step.error is not None]
    return [(row.canvas, row.nfe) for row in rows]


def test_rows_beside_others_are_the_rows_alone(model: LLaDAModel) -> None:
    known = llada_core.list_algorithms()
    asked = [(name, params) for name, params in SETTINGS + OTHERS if name in known]
    asked = [(*each, seed) for seed, each in enumerate(asked)]
    together = decoded(model, *(row(model, *each) for each in asked))
    assert together == [decoded(model, row(model, *each))[0] for each in asked]


@pytest.mark.parametrize(("name", "params"), SETTINGS)
def test_the_reference_decodes_as_the_loop(name: str, params: dict[str, Any], model: LLaDAModel) -> None:
    """By a forward that is written out, without packed rows."""
    assert follow(model, row(model, name, params, 7)) == decoded(model, row(model, name, params, 7))[0]
