"""The published models: which engine they get, what is read of their files, what they weigh."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core import UnsupportedArchitecture
from llada_dream import DreamConfig, DreamNetwork
from tests.dream.published import MODELS
from tests.support.published import NUMBERS, check_detected, check_network, check_shape

WORDS = {
    **NUMBERS,
    "mlp_width": "intermediate_size",
}

each_model = pytest.mark.parametrize("name", MODELS)


@each_model
def test_it_gets_the_engine_and_its_default(name: str, tmp_path: Path) -> None:
    check_detected(MODELS[name], tmp_path, engine="dream", default="dream")


@each_model
def test_its_file_is_read_as_it_is(name: str) -> None:
    read = DreamConfig.from_dict(MODELS[name].config)
    check_shape(MODELS[name], read, WORDS, {})
    shape = read.shape
    assert (shape.head_dim, shape.qkv_bias, shape.out_bias, shape.qk_norm) == (128, True, False, False)
    assert (read.rope_theta, read.max_sequence_length) == (
        1e6,
        MODELS[name].config["max_position_embeddings"],
    )
    assert (read.mask_token_id, read.eos_ids) == (151666, (151643,))


@each_model
def test_its_network_has_its_tensors_and_its_size(name: str) -> None:
    read = DreamConfig.from_dict(MODELS[name].config)
    check_network(MODELS[name], DreamNetwork, read, DreamConfig.estimate)


def test_dreamreasoner_is_refused_with_what_it_is() -> None:
    """DreamReasoner-8B: Dream's ``model_type``, a class of its own, and Qwen3's network."""
    config = {**MODELS["Dream-v0-Base-7B"].config, "architectures": ["DreamForCausalLM"], "block_size": 32}
    with pytest.raises(UnsupportedArchitecture, match=r"class of DreamReasoner, .* run it by the code"):
        DreamConfig.from_dict(config)
