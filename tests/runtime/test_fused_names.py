"""A network whose checkpoints have queries, keys and values in one tensor says so by a name for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from llada_core import UsageError
from llada_runtime import LLaDAConfig, LLaDAModel, Rotary, Shape
from llada_runtime.testing import LLADA_CONFIG, write_llada

_ROOT = "model.transformer"
_NAMES = {
    "attention_norm": "attn_norm",
    "qkv": "att_proj",
    "out": "attn_out",
    "mlp_norm": "ff_norm",
    "gate": "ff_proj",
    "up": "up_proj",
    "down": "ff_out",
}


class Fused(LLaDAModel):
    """LLaDA's network with one name for the three."""

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors(
            f"{_ROOT}.blocks", _NAMES, embedding=f"{_ROOT}.wte", norm=f"{_ROOT}.ln_f", head=f"{_ROOT}.ff_out"
        )


class Biased(Fused):
    """The same, with a bias there."""

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        shape, rotary = LLaDAModel.dimensions(config)
        return replace(shape, qkv_bias=True), rotary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of the small model, its three tensors put together."""
    folder = write_llada(tmp_path)
    weights = load_file(folder / "model.safetensors")
    for layer in range(2):
        names = [f"{_ROOT}.blocks.{layer}.{part}_proj.weight" for part in "qkv"]
        weights[f"{_ROOT}.blocks.{layer}.att_proj.weight"] = torch.cat([weights.pop(name) for name in names])
    save_file(weights, folder / "model.safetensors")
    return folder


def test_it_is_read_as_the_three_are(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    apart = LLaDAModel.from_pretrained(write_llada(tmp_path_factory.mktemp("apart")), device="cpu")
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    assert torch.equal(Fused.from_pretrained(folder, device="cpu")(ids), apart(ids))


def test_the_names_are_one_a_layer() -> None:
    config = LLaDAConfig.from_dict(LLADA_CONFIG)
    tensors = Biased(config, device=torch.device("meta"), dtype=torch.float32).tensors()
    assert tensors[f"{_ROOT}.blocks.0.att_proj.weight"].shape == (16 + 8 + 8, 16)
    assert tensors[f"{_ROOT}.blocks.0.att_proj.bias"].shape == (16 + 8 + 8,)
    assert not [name for name in tensors if ".q_proj" in name]


def test_it_is_not_split_between_ranks(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Fused does not, of its qkv; leave tensor_parallel out"):
        Fused.check_split(folder, 2)
