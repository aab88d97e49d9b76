"""Memory estimates against real tensors and the published sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import UsageError
from llada_runtime import CheckpointError
from llada_sdar import SDARConfig, SDARNetwork
from tests.sdar.tiny_models import DENSE, MOE, random_weights
from tests.support.program import Llada

estimate = SDARConfig.estimate


@pytest.mark.parametrize(
    "config",
    [
        DENSE,
        {**DENSE, "tie_word_embeddings": True, "head_dim": 8},
        MOE,
        {**MOE, "mlp_only_layers": [1], "num_experts": 3},
    ],
)
def test_the_parameter_count_is_that_of_the_tensors(config: dict[str, Any]) -> None:
    held = sum(tensor.numel() for tensor in random_weights(config).values())
    assert estimate(config, dtype="float32").weights == 4 * held


@pytest.mark.parametrize("config", [DENSE, MOE])
def test_weights_of_eight_bits_are_counted_as_they_are(config: dict[str, Any]) -> None:
    network = SDARNetwork(SDARConfig.from_dict(config), device=torch.device("cpu"), dtype=torch.bfloat16)
    network.quantise("int8")
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    assert estimate(config, quantization="int8").weights == sum(held.values())


def test_special_tokens_are_not_needed_to_tell_the_memory() -> None:
    old = {name: value for name, value in DENSE.items() if name not in ("mask_token_id", "block_size")}
    assert estimate(old) == estimate(DENSE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"dtype": "int8"}, "dtype 'int8' cannot be used"), ({"tensor_parallel": 3}, "3")],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises((CheckpointError, UsageError), match=said):
        estimate(DENSE, **asked)


def test_a_mixture_is_not_told_as_if_it_were_split() -> None:
    with pytest.raises(UsageError, match="experts"):
        estimate(MOE, tensor_parallel=2)


def test_an_estimate_needs_no_torch() -> None:
    program = (
        "import json, sys; from llada_sdar.config import SDARConfig;"
        "SDARConfig.estimate(json.loads(sys.argv[1]));"
        "assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(MOE)], check=True)


@pytest.mark.parametrize("changes", [{}, {"mask_token_id": ...}])
def test_doctor_states_the_memory_and_the_steps_of_a_model(
    tmp_path: Path, llada: Llada, changes: dict[str, Any]
) -> None:
    fields = {name: value for name, value in {**DENSE, **changes}.items() if value is not ...}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"]) == (0, "sdar")
    assert told["memory"]["weights"] == estimate(DENSE).weights
    assert told["steps"].startswith("steps run on ")


def test_doctor_says_why_it_cannot_tell(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**DENSE, "attention_bias": True}))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--json")
    told = json.loads(out)["model"]
    assert (status, told["memory"]) == (1, None)
    assert "attention_bias = True is not implemented" in told["reason"]
