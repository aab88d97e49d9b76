"""Rows of all these decoders and of others in one forward: each has the tokens and forwards of the row alone.

So a pruned suffix, drafts, shadows, guidance, columns that are looked at and answers that grow stand side by
side.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

import llada_core
from llada_runtime import LLaDAModel, Sequence, drain
from llada_runtime.reference import follow
from llada_runtime.testing import small_llada
from tests.decoders.drawn_rows import NAMES, drawn
from tests.support.cases import cases

pytestmark = pytest.mark.alone

FINDING = {
    "initial_gen_length": 4, "high_conf_threshold": 0.8, "low_conf_threshold": 0.7, "expansion_factor": 3,
    "eos_confidence_threshold": 0.0, "expand_eos_confidence_threshold": 1.5, "eos_check_tokens": 2,
}  # fmt: skip
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
    ("streaming", {"threshold": 0.3, "window_size": 2}),
    ("streaming", {"threshold": None, "window_size": 0, "steps": 6}),
    ("streaming", {"temperature": 0.8, "seed": 5, "window_size": 1}),
    ("streaming", {"factor": 1.0, "early_stop": False}),
    ("freedave", {"draft_steps": 3}),
    ("freedave", {"draft_steps": 5, "cache": "dual", "threshold": 0.4}),
    ("freedave", {"draft_steps": 1, "early_exit": True}),
    ("wino", {"threshold": 0.0, "threshold_back": 1.0, "gen_length": 15, "block_length": 15}),
    ("wino", {"threshold": 0.3, "threshold_back": 0.5}),
    ("daedal", {**FINDING, "early_stop": False}),
    ("daedal", {**FINDING, "cfg_scale": 0.5}),
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
    lengths = {"gen_length": source.randint(6, 15), "block_length": source.choice([3, 4, 8])}
    effective = algorithm.validate_args(**{**lengths, **params})
    return algorithm.sequence(model, [source.randrange(20) for _ in range(source.randint(1, 9))], effective)


def test_each_row_is_the_reference_of_it_alone(model: LLaDAModel) -> None:
    """By a forward that is written out, without packed rows."""
    known = llada_core.list_algorithms()
    asked = [(*each, seed) for seed, each in enumerate(SETTINGS + OTHERS) if each[0] in known]
    together = [row(model, *each) for each in asked]
    steps = list(drain(model, together, rows=len(together)))
    assert not [step.error for step in steps if step.error is not None]
    assert [(each.canvas, each.nfe) for each in together] == [
        follow(model, row(model, *each)) for each in asked
    ]
    assert any(step.revoked for step in steps)
    assert any(step.inserted for step in steps)


Drawn = tuple[str, dict[str, Any], list[int]]


def batch(seed: int) -> list[Drawn]:
    """Two to seven rows of algorithms that are installed, every third one a composition."""
    source, known = random.Random(seed), set(llada_core.list_algorithms())
    names = [name for name in NAMES if name in known]
    chosen = [
        "compose" if source.random() < 1 / 3 else source.choice(names) for _ in range(source.randint(2, 7))
    ]
    return [
        (name, drawn(name, source), [source.randrange(20) for _ in range(source.randint(1, 9))])
        for name in chosen
    ]


def decoded(model: LLaDAModel, rows: list[Drawn]) -> list[tuple[list[int], int]]:
    made = [llada_core.get_algorithm(name).sequence(model, ids, params) for name, params, ids in rows]
    steps = list(drain(model, made, rows=len(made)))
    assert [step.error for step in steps if step.error is not None] == []
    return [(each.canvas, each.nfe) for each in made]


def check_alone(model: LLaDAModel, seed: int) -> None:
    rows = batch(seed)
    alone = [decoded(model, [each])[0] for each in rows]
    for each, one, other in zip(rows, alone, decoded(model, rows), strict=True):
        assert one == other, f"batch {seed}: {each[0]} with {each[1]}"


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_a_random_batch_decode_as_if_alone(model: LLaDAModel, seed: int) -> None:
    check_alone(model, seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_of_random_batches_of_all_algorithms_decode_as_if_alone(model: LLaDAModel) -> None:
    for seed in range(cases(200)):
        check_alone(model, 100 + seed)
