"""What ``llada doctor --model`` says of memory, from the config alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llada_core import CheckpointError, UsageError
from llada_llada2 import LLaDA2Config, LLaDA2Network
from llada_runtime.network.checkpoint import fill
from llada_runtime.network.sources import SafetensorsSource
from tests.llada2.tiny_models import MINI, write_model
from tests.support.program import Llada, llada

__all__ = ["llada"]  # the fixture

estimate = LLaDA2Config.estimate


def read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"num_shared_experts": 0},
        {"first_k_dense_replace": 0, "num_shared_experts": 2},
        {"first_k_dense_replace": 3},
        {"use_qk_norm": False},
    ],
    ids=str,
)
def test_the_parameter_count_is_that_of_the_tensors(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = write_model(tmp_path, tokenizer=False, **changes)
    config = LLaDA2Config.from_pretrained(folder)
    network = LLaDA2Network(config, device=torch.device("cpu"), dtype=torch.float32)
    held = sum(each.numel() for each in {id(each): each for each in network.tensors().values()}.values())
    stored = sum(each.numel() for each in load_file(folder / "model.safetensors").values())
    assert estimate(read(folder), dtype="float32").weights == 4 * held == 4 * stored


def test_weights_of_eight_bits_and_of_four_bytes_are_counted_as_they_are(tmp_path: Path) -> None:
    folder = write_model(tmp_path, tokenizer=False)
    for kind in (None, "int8"):
        network = LLaDA2Network(
            LLaDA2Config.from_pretrained(folder), device=torch.device("cpu"), dtype=torch.bfloat16
        )
        if kind is not None:
            network.quantise(kind)
        held = {each.data_ptr(): each.nbytes for each in network.parameters()}
        assert estimate(read(folder), quantization=kind).weights == sum(held.values())


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_experts_that_are_read_in_eight_bits_are_those_made_so_afterwards(kind: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path, tokenizer=False)
    read = LLaDA2Network.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization=kind)
    plain = LLaDA2Network(read.config, device=torch.device("cpu"), dtype=torch.bfloat16)
    fill(plain.tensors(), SafetensorsSource(folder))
    made = plain.quantise(kind).pack().state_dict()
    assert read.state_dict().keys() == made.keys()
    for name, tensor in read.state_dict().items():
        assert torch.equal(tensor.float(), made[name].float()), name
    x = torch.ones(3, read.shape.width)
    routers = [each.layers[1].mlp.router for each in (read, plain)]  # which keep their numbers, packed
    assert torch.equal(*(router.product(x) for router in routers))


def test_a_column_takes_keys_and_values_of_all_layers() -> None:
    found = estimate(MINI)
    assert found.kv_per_token == 2 * 20 * 4 * 128 * 2
    assert found.max_sequence_length == 32768


def test_what_cannot_be_told_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="dtype 'int8' cannot be used"):
        estimate(MINI, dtype="int8")
    with pytest.raises(CheckpointError, match=r"is of LLaDA2\.2"):
        estimate({**MINI, "expert_capacity": 48})
    with pytest.raises(UsageError, match="tensor_parallel=2 splits no network"):
        estimate(MINI, tensor_parallel=2)


def test_an_estimate_needs_no_torch() -> None:
    program = (
        "import json, sys; from llada_llada2.config import LLaDA2Config;"
        "LLaDA2Config.estimate(json.loads(sys.argv[1]));"
        "assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(MINI)], check=True)


def test_doctor_states_the_memory_of_a_model(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MINI))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"]) == (0, "llada2")
    assert told["memory"]["weights"] == estimate(MINI).weights
    assert told["steps"].startswith("steps run on ")
