"""The published models of all sizes: which engine they get, what is read of their files, what they weigh."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_sdar import SDARConfig, SDARNetwork
from tests.support.published import NUMBERS, check_detected, check_network, check_shape, read_published

MODELS = read_published(Path(__file__).parent / "published.json")
WORDS = {
    **NUMBERS,
    "head_dim": "head_dim",
    "mlp_width": "intermediate_size",
    "qkv_bias": "attention_bias",
    "out_bias": "attention_bias",
}
EXPERTS = {
    "count": "num_experts",
    "chosen": "num_experts_per_tok",
    "width": "moe_intermediate_size",
    "renormalised": "norm_topk_prob",
}

each_model = pytest.mark.parametrize("name", MODELS)


@each_model
def test_it_gets_the_engine_and_its_default(name: str, tmp_path: Path) -> None:
    check_detected(MODELS[name], tmp_path, engine="sdar", default="sdar")


@each_model
def test_its_file_is_read_as_it_is(name: str) -> None:
    read = SDARConfig.from_dict(MODELS[name].config)
    check_shape(MODELS[name], read, WORDS, EXPERTS)
    assert read.shape.qk_norm
    assert (read.rope_theta, read.max_sequence_length) == (1e6, 32768)
    assert (read.mask_token_id, read.eos_ids) == (151669, (151643,))
    assert read.step_widths == (32 if name.endswith("b32") else 4,)


@each_model
def test_its_network_has_its_tensors_and_its_size(name: str) -> None:
    read = SDARConfig.from_dict(MODELS[name].config)
    check_network(MODELS[name], SDARNetwork, read, SDARConfig.estimate)
