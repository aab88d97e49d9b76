"""Memory estimates against real tensors and the published sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llada_nemotron import NemotronConfig, NemotronNetwork
from llada_nemotron.memory import estimate
from llada_runtime import CheckpointError
from tests.nemotron.published import FAMILY
from tests.nemotron.tiny_models import Variant, write_model
from tests.support.program import Llada

LABS_3B = FAMILY["Nemotron-Labs-Diffusion-3B"]
VLM = FAMILY["Nemotron-Labs-Diffusion-VLM-8B"]


def read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("labs", {}),
        ("gen1", {}),
        ("gen1", {"disable_qk_norm": True}),
        ("gen1", {"attention_bias": True}),
        ("gen1", {"head_dim": 8, "num_key_value_heads": 1, "num_hidden_layers": 3}),
    ],
)
def test_the_parameter_count_is_that_of_the_tensors(
    tmp_path: Path, variant: Variant, changes: dict[str, Any]
) -> None:
    folder = write_model(tmp_path, variant, tokenizer=False, **changes)
    config = NemotronConfig.from_pretrained(folder)
    network = NemotronNetwork(config, device=torch.device("cpu"), dtype=torch.float32)
    for tensors in (network.tensors(), load_file(folder / "model.safetensors")):
        held = sum(tensor.numel() for tensor in tensors.values())
        assert estimate(read(folder), dtype="float32").weights == 4 * held


@pytest.mark.parametrize("variant", ["labs", "gen1"])
def test_weights_of_eight_bits_are_counted_as_they_are(tmp_path: Path, variant: Variant) -> None:
    folder = write_model(tmp_path, variant, tokenizer=False)
    network = NemotronNetwork.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization="int8")
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    assert estimate(read(folder), quantization="int8").weights == sum(held.values())


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Nemotron-Labs-Diffusion-3B", 3.83),
        ("Nemotron-Labs-Diffusion-8B", 8.49),
        ("Nemotron-Labs-Diffusion-14B", 13.51),
        ("Nemotron-Diffusion-Research-8B-v0", 8.19),
    ],
)
def test_the_published_models_have_their_size(name: str, billions: float) -> None:
    assert estimate(FAMILY[name]).weights / 2e9 == pytest.approx(billions, abs=0.005)


def test_the_3b_takes_what_its_files_take() -> None:
    found = estimate(LABS_3B)
    assert found.weights == pytest.approx(7.66e9, abs=5e6)
    assert found.kv_per_token == 2 * 26 * 8 * 128 * 2
    assert found.kv_per_row == 262144 * found.kv_per_token


def test_what_fits_is_what_the_weights_leave() -> None:
    assert estimate(LABS_3B).rows_that_fit is None
    assert estimate(LABS_3B, available=7 * 10**9).rows_that_fit == 0
    assert estimate(LABS_3B, available=80 * 2**30).rows_that_fit == 2


def test_without_a_known_architecture_the_problem_is_told() -> None:
    problem = NemotronConfig.from_dict(VLM).architecture_problem
    with pytest.raises(CheckpointError) as error:
        estimate(VLM)
    assert str(error.value) == f"the memory it takes cannot be told: {problem}"


def test_another_dtype_is_refused() -> None:
    with pytest.raises(CheckpointError, match="dtype 'int8' cannot be used"):
        estimate(LABS_3B, dtype="int8")


def test_an_estimate_needs_no_torch() -> None:
    program = (
        "import json, sys; from llada_nemotron.memory import estimate;"
        "estimate(json.loads(sys.argv[1])); assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(LABS_3B)], check=True)


def test_doctor_states_the_memory_of_a_model(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LABS_3B))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"]) == (0, "nemotron")
    assert told["memory"]["weights"] == estimate(LABS_3B).weights
    assert told["steps"].startswith("steps run on ")


def test_doctor_says_why_it_cannot_tell(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps(VLM))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"], told["memory"]) == (1, "nemotron", None)
    assert "NemotronLabsDiffusionVLMModel" in told["reason"]
    assert "NemotronLabsDiffusionVLMModel" in told["steps_reason"]
