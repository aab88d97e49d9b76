"""Every decoder and every option of it, against its own policy and rule on a forward that is written out."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import AlgorithmUnavailable
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Sequence,
    Threshold,
    UnsupportedArchitecture,
    drain,
    reference,
)
from llada_runtime.network import attention
from llada_runtime.network.graphs import Graphed
from llada_runtime.plain import PlainForward
from llada_runtime.testing import FakeNetwork, small_llada
from tests.parity.parity_data import MOE_MODEL, golden_model, needs_engine
from tests.support.graphing import FakeGraphs

DRAWN = {"temperature": 0.8, "seed": 3, "top_k": 9}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("basic", {"remasking": "random", "seed": 5}),
    ("prefix_cache", {"factor": 1.0}),
    ("prefix_cache", DRAWN),
    ("dual_cache", {"threshold": 0.6}),
    ("dual_cache", {"steps": 9, "threshold": None}),
    ("dinfer_blockwise", {"maximum_unroll": 4, "cache_update_freq": 2}),
    ("dinfer_blockwise", {"prefix_look": 4, "after_look": 3, "warmup_steps": 2}),
    ("dinfer_blockwise", {"cont_weight": 0.3}),
    ("dinfer_hierarchy", {"low_threshold": 0.4, "start_block_align": True}),
    ("dinfer_hierarchy", {"cache": "prefix"}),
    ("dinfer_credit", {"threshold": 0.7}),
    ("dinfer_credit", {"cache": "none", **DRAWN}),
]
NETWORKS = ["gqa-eos-80", "mha-soft-72", MOE_MODEL]
ENGINES = {"basic": "fast-dllm", "prefix_cache": "fast-dllm", "dual_cache": "fast-dllm"}


def named(at: int, turn: int) -> Any:
    """A case on one of the models. Quick ones take the models in turns."""
    (name, given), model = CASES[at], NETWORKS[turn]
    marks = [needs_engine(ENGINES.get(name, "dinfer"))]
    marks += [] if turn == at % len(NETWORKS) else [pytest.mark.slow]
    return pytest.param(model, name, given, marks=marks, id=f"{name} {given} {model}")


def decoded(model: Any, name: str, prompt: list[int], given: dict[str, Any]) -> tuple[list[int], int]:
    algorithm = llada_core.get_algorithm(name)
    sequence = algorithm.sequence(model, prompt, algorithm.validate_args(**given))
    for step in drain(model, [sequence], rows=1):
        assert step.error is None
    return sequence.canvas[len(prompt) :], sequence.nfe


def referred(model: Any, name: str, prompt: list[int], given: dict[str, Any]) -> tuple[list[int], int]:
    algorithm = llada_core.get_algorithm(name)
    answer = algorithm.reference_answer(model, prompt, algorithm.validate_args(**given))
    return list(answer.token_ids), answer.nfe


@pytest.mark.parametrize(
    ("model", "name", "given"),
    [named(at, turn) for at in range(len(CASES)) for turn in range(len(NETWORKS))],
)
def test_the_loop_decodes_as_the_reference_does(model: str, name: str, given: dict[str, Any]) -> None:
    network, source = golden_model(model), random.Random(model)
    prompt = source.choices(range(200), k=11)
    given = {"gen_length": 21, "block_length": 8, **given}
    assert decoded(network, name, prompt, given) == referred(network, name, prompt, given)


@needs_engine("fast-dllm")
def test_a_fault_of_the_fast_path_shows() -> None:
    network, kept = golden_model("mha-64"), attention._keep

    def spoiled(pool: Any, k: Tensor, v: Tensor, layout: Any) -> None:
        kept(pool, k, -v, layout)

    given = {"gen_length": 16, "block_length": 8, "threshold": 1.0}
    sound = referred(network, "dual_cache", [1, 2, 3], given)
    with mock.patch.object(attention, "_keep", spoiled):
        assert referred(network, "dual_cache", [1, 2, 3], given) == sound
        assert decoded(network, "dual_cache", [1, 2, 3], given) != sound


@needs_engine("fast-dllm")
def test_a_network_behind_graphs_is_found() -> None:
    model, prompt, given = small_llada(), [1, 2, 3], {"gen_length": 12, "block_length": 4}
    graphed = Graphed(model, record=FakeGraphs())
    assert referred(graphed, "dual_cache", prompt, given) == decoded(model, "dual_cache", prompt, given)


@needs_engine("fast-dllm")
def test_what_cannot_be_written_out_is_refused() -> None:
    with pytest.raises(AlgorithmUnavailable, match="FakeNetwork computes logits in its own way"):
        referred(FakeNetwork.random(), "dual_cache", [1, 2], {"gen_length": 4})

    class Own(LLaDAModel):
        def logits(self, layout: Any, cache: Any) -> Tensor:
            return super().logits(layout, cache)

    model = small_llada()
    own = Own(model.config, device=model.device, dtype=torch.float32)
    with pytest.raises(UnsupportedArchitecture, match="Own computes logits"):
        PlainForward(own)
    with pytest.raises(AlgorithmUnavailable, match="Own computes logits"):
        referred(own, "basic", [1, 2], {"gen_length": 4})


def test_the_reference_of_a_sequence_needs_no_engine() -> None:
    model = small_llada()
    made = [
        Sequence([1, 2], model.config, gen_length=8, block_length=4, policy=DualCache(), rule=Threshold(0.5))
        for _ in range(2)
    ]
    for _ in drain(model, made[:1], rows=1):
        pass
    assert reference.follow(model, made[1]) == (made[0].canvas, made[0].nfe)
