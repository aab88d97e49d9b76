"""Memory estimates against real tensors and the published size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llada_core import UsageError
from llada_dream import DreamConfig, DreamNetwork
from llada_runtime import CheckpointError, UnsupportedArchitecture
from tests.dream.dream_data import GOLDENS, MODELS
from tests.dream.published import DREAM_7B
from tests.support.program import Llada

estimate = DreamConfig.estimate


def fields_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDENS / "models" / name / "config.json").read_text())
    return found


@pytest.mark.parametrize("name", MODELS)
def test_the_parameter_count_is_that_of_the_tensors(name: str) -> None:
    held = load_file(GOLDENS / "models" / name / "model.safetensors").values()
    assert estimate(fields_of(name), dtype="float32").weights == 4 * sum(each.numel() for each in held)


@pytest.mark.parametrize("tied", [False, True])
def test_a_tied_head_is_counted_once(tied: bool) -> None:
    fields = {**fields_of(MODELS[0]), "tie_word_embeddings": tied}
    network = DreamNetwork(DreamConfig.from_dict(fields), device=torch.device("cpu"), dtype=torch.float32)
    held = {tensor.data_ptr(): tensor.nbytes for tensor in network.parameters()}
    assert estimate(fields, dtype="float32").weights == sum(held.values())


def test_weights_of_eight_bits_are_counted_as_they_are() -> None:
    folder = GOLDENS / "models" / MODELS[0]
    network = DreamNetwork.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization="int8")
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    assert estimate(fields_of(MODELS[0]), quantization="int8").weights == sum(held.values())


def test_biases_are_read_whole_beside_weights_of_eight_bits() -> None:
    folder = GOLDENS / "models" / MODELS[0]
    whole, eight = (
        DreamNetwork.from_pretrained(folder, device="cpu", quantization=kind) for kind in (None, "int8")
    )
    biases = {name: each for name, each in whole.state_dict().items() if name.endswith("qkv.bias")}
    assert biases
    for name, bias in biases.items():
        assert torch.equal(eight.state_dict()[name], bias)


def test_rows_fit_beside_the_published_model() -> None:
    found = estimate(DREAM_7B, available=80 * 2**30)
    assert found.kv_per_token == 2 * 28 * 4 * 128 * 2
    assert found.rows_that_fit == 8


def test_the_logits_are_those_of_a_whole_answer() -> None:
    """`dream` and `dream_threshold` decide all of it by each forward, and no block of 32."""
    assert estimate(DREAM_7B).logits_per_row >= 512 * DREAM_7B["vocab_size"] * 4


def test_ranks_share_what_can_be_shared() -> None:
    assert estimate(DREAM_7B, tensor_parallel=4).weights < estimate(DREAM_7B).weights / 3
    with pytest.raises(UsageError, match="tensor_parallel=3 does not divide the model's 28 heads"):
        estimate(DREAM_7B, tensor_parallel=3)


def test_what_cannot_be_estimated_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedArchitecture, match="use_mrope = True"):
        estimate({**DREAM_7B, "use_mrope": True})
    with pytest.raises(CheckpointError, match="dtype 'int8' cannot be used"):
        estimate(DREAM_7B, dtype="int8")


def test_an_estimate_needs_no_torch() -> None:
    program = (
        "import json, sys; from llada_dream.config import DreamConfig; import llada_dream.plugin;"
        "DreamConfig.estimate(json.loads(sys.argv[1]));"
        "assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(DREAM_7B)], check=True)


def test_doctor_states_memory_and_steps_of_a_model(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps(DREAM_7B))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"]) == (0, "dream")
    assert told["memory"]["weights"] == estimate(DREAM_7B).weights
    assert told["steps"].startswith("steps run on ")


def test_doctor_says_why_it_cannot_tell(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**DREAM_7B, "use_mrope": True}))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"], told["memory"]) == (1, "dream", None)
    assert "use_mrope = True" in told["reason"]
    assert "use_mrope = True" in told["steps_reason"]
