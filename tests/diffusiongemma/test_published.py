"""The published model: which engine it gets, what is read of its file, what it weighs."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from llada_diffusiongemma import GemmaConfig
from llada_diffusiongemma.loading import TOWER
from llada_diffusiongemma.memory import estimate
from tests.diffusiongemma.published import FACTS
from tests.support.published import Model, check_detected

FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "attention_bias",
    "sliding_window",
    "num_experts",
    "moe_intermediate_size",
    "max_position_embeddings",
)
MODEL = Model(config=FACTS["config"], source=FACTS["source"], parameters=FACTS["parameters"])


def test_it_gets_the_engine_and_its_default(tmp_path: Path) -> None:
    check_detected(MODEL, tmp_path, engine="diffusion_gemma", default="diffusion_gemma")


def test_its_file_is_read_as_it_is() -> None:
    read, text = GemmaConfig.from_dict(MODEL.config), MODEL.config["text_config"]
    same = {name: text[name] for name in FIELDS}
    assert {name: getattr(read, name) for name in FIELDS} == same
    slides = [kind == "sliding_attention" for kind in text["layer_types"]]
    assert [layer.slides for layer in read.layers] == slides
    assert {(layer.n_kv_heads, layer.head_dim) for layer in read.layers if layer.slides} == {(8, 256)}
    assert {(layer.n_kv_heads, layer.head_dim) for layer in read.layers if not layer.slides} == {(2, 512)}
    assert (read.canvas_length, read.tied, read.image_token_id, read.masked) == (256, True, 258880, True)


def test_its_network_has_its_tensors_and_its_size() -> None:
    """With the tower, which is not counted, for it is dropped."""
    with torch.device("meta"):
        network = DiffusionGemmaForBlockDiffusion(DiffusionGemmaConfig.from_dict(MODEL.config))
    held = {id(each) for each in network.state_dict(keep_vars=True).values()}
    parameters = sum(each.numel() for each in network.parameters())
    assert (len(held), parameters) == (FACTS["tensors"], FACTS["parameters"])
    tower = [each.numel() for name, each in network.named_parameters() if name.startswith(TOWER)]
    assert estimate(MODEL.config, dtype="float32").weights == 4 * (parameters - sum(tower))
