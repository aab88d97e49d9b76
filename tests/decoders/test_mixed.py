"""Rows of these decoders beside rows of any others: each has the tokens and forwards of the row alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

import llada_core
from llada_core import Step
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


ALL: list[tuple[str, dict[str, Any]]] = [
    ("streaming", {"threshold": 0.3, "window_size": 2, "block_length": 3}),  # a tail
    ("wino", {"threshold": 0.3, "threshold_back": 0.95}),  # a shadow, and tokens that are taken back
    ("freedave", {"draft_steps": 3}),  # drafts that read the cache
    ("freedave", {"draft_steps": 4, "threshold": 0.2, "cache": "dual"}),
    ("llada", {"cfg_scale": 0.7}),  # a canvas without the prompt
    (
        "daedal",  # an answer that grows
        {
            "initial_gen_length": 6, "gen_length": 20, "eos_check_tokens": 2, "eos_confidence_threshold": 0.2,
            "low_conf_threshold": 0.6,
        },
    ),
    ("klass", {"conf_threshold": 0.1, "kl_threshold": 0.5}),  # a look behind the block
    ("multiblock", {"threshold": 2.5}),
    ("dual_cache", {"threshold": 0.3}),
    ("dinfer_hierarchy", {"prefix_look": 2, "after_look": 2}),
    ("wino", {"threshold": 0.3, "temperature": 0.9, "seed": 4}),
]  # fmt: skip


def told(model: LLaDAModel, rows: list[Sequence]) -> list[tuple[Any, ...]]:
    """What becomes of each row, and what its steps tell, where as many as eight share a forward."""
    steps = list(drain(model, rows, rows=8))
    return [(row.canvas, row.nfe, [_what(step) for step in steps if step.ticket.row is row]) for row in rows]


def _what(step: Step) -> tuple[Any, ...]:
    return (
        step.positions, step.tokens, step.confidence, step.revoked, step.inserted, step.alternatives,
        step.log_probabilities, step.drawn_log_probabilities, step.finished, repr(step.error),
    )  # fmt: skip


def test_rows_of_all_that_plans_can_bring_share_forwards_and_tell_what_they_tell_alone(
    model: LLaDAModel,
) -> None:
    known = llada_core.list_algorithms()
    asked = [(*each, seed) for seed, each in enumerate(ALL) if each[0] in known]

    def rows() -> list[Sequence]:
        made = [row(model, *each) for each in asked]
        for at, each in enumerate(made):
            each.end_ids, each.traced, each.alternatives = each.end_ids | {3}, at % 2 == 0, at % 3
        return made

    together = told(model, rows())
    assert together == [told(model, [each])[0] for each in rows()]
    steps = [step for _, _, own in together for step in own]
    assert all(step[-1] == "None" for step in steps)
    assert any(step[3] for step in steps)  # tokens were taken back
    assert any(step[4] for step in steps)  # and an answer grew


@pytest.mark.parametrize(("name", "params"), SETTINGS)
def test_the_reference_decodes_as_the_loop(name: str, params: dict[str, Any], model: LLaDAModel) -> None:
    """By a forward that is written out, without packed rows."""
    assert follow(model, row(model, name, params, 7)) == decoded(model, row(model, name, params, 7))[0]
