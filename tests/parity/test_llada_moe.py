"""LLaDA-MoE against logits, tokens and forward counts recorded from the upstream implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import llada_core
from llada_runtime import drain, reference
from tests.parity.parity_data import MOE_GOLDENS, MOE_MODEL, golden_cases, golden_model, needs_engine
from tests.support.contract import held_by_answers
from tests.support.logits import TOLERANCE

Case = dict[str, Any]
LOGITS = MOE_GOLDENS / "logits" / f"{MOE_MODEL}.safetensors"
CASES = golden_cases("lladamoe", MOE_GOLDENS)


def test_full_forward_equals_upstream() -> None:
    golden = load_file(LOGITS)
    logits = golden_model(MOE_MODEL)(golden["masked_input_ids"])
    assert (logits - golden["masked_logits"]).abs().max() <= TOLERANCE


def test_a_layer_of_experts_equals_upstream() -> None:
    golden, layer = load_file(LOGITS), golden_model(MOE_MODEL).layers[0].mlp
    (x,), (wanted,) = golden["moe_input"], golden["moe_output"]
    nothing = torch.zeros_like(x)
    assert (layer(x, nothing) - wanted).abs().max() <= 1e-5
    assert (layer.plainly(x, nothing) - wanted).abs().max() <= 1e-5


@needs_engine("fast-dllm")
@pytest.mark.parametrize("case", CASES)
def test_tokens_and_forwards_equal_upstream(case: Case) -> None:
    algorithm, model = llada_core.get_algorithm(case["algorithm"]), golden_model(MOE_MODEL)
    params = algorithm.validate_args(early_stop=False, **case["params"])
    row = algorithm.sequence(model, case["prompt"], params)
    steps = list(drain(model, [row], rows=32))
    assert [row.canvas] == case["expected"]["sequences"]
    assert row.nfe == case["expected"]["nfe"]
    assert [len(step.tokens) for step in steps] == [committed for *_, committed in case["trace"]]


@pytest.mark.parametrize("case", CASES)
def test_the_reference_equals_upstream(case: Case) -> None:
    given = {name: case["params"][name] for name in ("gen_length", "block_length", "steps", "threshold")}
    canvas, nfe = reference.decode(golden_model(MOE_MODEL), case["prompt"], **given)
    assert [canvas] == case["expected"]["sequences"]
    assert nfe == case["expected"]["nfe"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("basic", "fast-dllm"),
        ("prefix_cache", "fast-dllm"),
        ("dual_cache", "fast-dllm"),
        ("dinfer_blockwise", "dinfer"),
        ("dinfer_hierarchy", "dinfer"),
        ("dinfer_credit", "dinfer"),
    ],
)
def test_an_algorithm_keeps_its_contract_on_layers_of_experts(name: str, engine: str) -> None:
    if engine not in llada_core.list_engines():
        pytest.skip(f"the engine {engine} is not installed")
    passed = held_by_answers(name, golden_model(MOE_MODEL), gen_length=12)
    assert "a batch is its rows alone" in passed


@pytest.mark.gpu
@needs_engine("fast-dllm")
@pytest.mark.parametrize("case", CASES)
def test_tokens_equal_upstream_on_a_gpu(case: Case) -> None:
    output_ids, _ = llada_core.get_algorithm(case["algorithm"]).generate(
        golden_model(MOE_MODEL, "cuda"), torch.tensor([case["prompt"]]), early_stop=False, **case["params"]
    )
    assert output_ids.tolist() == case["expected"]["sequences"]
