"""The published models of LLaDA-MoE: which engine they get, what is read of their files, what they weigh."""

from __future__ import annotations

from pathlib import Path

import pytest

import llada_core
from llada_runtime import estimate
from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from llada_runtime.models.register import network_class
from tests.support.llada_moe import PUBLISHED
from tests.support.published import NUMBERS, check_detected, check_network, check_shape

WORDS = {
    **NUMBERS,
    "qk_norm": "qk_layernorm",
    "qkv_bias": "attention_bias",
}
EXPERTS = {
    "count": "num_experts",
    "chosen": "num_experts_per_tok",
    "width": "expert_intermediate_size",
    "scores": "moe_router_score_function",
    "bias": "moe_router_enable_expert_bias",
    "scale": "routed_scaling_factor",
}

each_model = pytest.mark.parametrize("name", PUBLISHED)


@each_model
def test_it_gets_the_engine_and_its_default(name: str, tmp_path: Path) -> None:
    both = {"dinfer": "dinfer_blockwise", "fast-dllm": "dual_cache"}  # the first before the second
    engine = next(each for each in both if each in llada_core.list_engines())
    check_detected(PUBLISHED[name], tmp_path, engine=engine, default=both[engine])


@each_model
def test_its_file_is_read_as_it_is(name: str) -> None:
    read = LLaDAMoEConfig.from_dict(PUBLISHED[name].config)
    check_shape(PUBLISHED[name], read, WORDS, EXPERTS)
    experts = read.shape.experts
    assert experts is not None
    assert (read.shape.head_dim, experts.renormalised, experts.shared_width) == (128, False, 0)
    assert (read.rope_theta, read.max_sequence_length) == (50000, 8192)
    assert (read.mask_token_id, read.eos_ids) == (None, (156892,))  # the mask is the tokenizer's


@each_model
def test_its_network_has_its_tensors_and_its_size(name: str) -> None:
    assert network_class(PUBLISHED[name].config) is LLaDAMoEModel
    read = LLaDAMoEConfig.from_dict(PUBLISHED[name].config)
    check_network(PUBLISHED[name], LLaDAMoEModel, read, estimate)
