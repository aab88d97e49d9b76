"""A folder that ``save_pretrained`` of transformers wrote loads, whatever way it was written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from llada_runtime import LLaDAModel
from llada_runtime.network.weight_files import UnusedWeights
from llada_runtime.testing import LLADA_CONFIG, llada_weights

IDS = torch.tensor([[1, 2, 3, 4, 5]])


class Config(PretrainedConfig):
    model_type = "llada"


class Saved(PreTrainedModel):
    """Modules with the tensors of LLaDA under its names; the head is the embedding where they are tied."""

    config_class = Config
    _tied_weights_keys = {"model.transformer.ff_out.weight": "model.transformer.wte.weight"}  # noqa: RUF012

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        for name, tensor in llada_weights(config.to_dict()).items():
            self._place(name.removesuffix(".weight").split("."), nn.Parameter(tensor))
        if config.weight_tying:
            self._place(["model", "transformer", "ff_out"], self.model.transformer.wte.weight)
        self.post_init()

    def _place(self, path: list[str], weight: nn.Parameter) -> None:
        module: nn.Module = self
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, nn.Module())
            module = getattr(module, part)
        module.weight = weight

    def _init_weights(self, module: nn.Module) -> None:
        pass


def write(folder: Path, *, tied: bool = False, **how: Any) -> Path:
    config = {**LLADA_CONFIG, "weight_tying": tied, "tie_word_embeddings": tied}
    Saved(Config(**config)).save_pretrained(folder, **how)
    fields = {**json.loads((folder / "config.json").read_text()), "architectures": ["LLaDAModelLM"]}
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


def logits(folder: Path) -> torch.Tensor:
    return LLaDAModel.from_pretrained(folder, device="cpu")(IDS)


@pytest.mark.parametrize("tied", [False, True])
def test_shards_equal_the_single_file(tmp_path: Path, tied: bool) -> None:
    whole = logits(write(tmp_path / "whole", tied=tied))
    folder = write(tmp_path / "shards", tied=tied, max_shard_size="4KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert torch.equal(logits(folder), whole)


def test_a_tied_head_is_written_once_and_read(tmp_path: Path) -> None:
    folder = write(tmp_path, tied=True)
    assert len(load_file(folder / "model.safetensors")) == len(llada_weights()) - 1
    assert logits(folder).shape == (1, 5, 32)


def test_an_index_that_is_left_from_an_earlier_save_is_not_followed(tmp_path: Path) -> None:
    whole = logits(write(tmp_path / "whole"))
    folder = write(tmp_path / "both", max_shard_size="4KB")
    index = (folder / "model.safetensors.index.json").read_text()
    write(folder)
    (folder / "model.safetensors.index.json").write_text(index)  # which some releases take away
    with pytest.warns(UnusedWeights):
        found = logits(folder)
    assert torch.equal(found, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dtype_of_the_file_is_the_models_matter(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write(tmp_path)
    model = LLaDAModel.from_pretrained(folder, device="cpu", dtype=dtype)
    assert model(IDS).dtype == dtype
