"""The published models of all sizes: which engine they get, what is read of their files, what they weigh."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_llada2 import LLaDA2Config, LLaDA2Network
from tests.llada2.tiny_models import PUBLISHED
from tests.support.published import NUMBERS, check_detected, check_network, check_shape

WORDS = {
    **NUMBERS,
    "head_dim": "head_dim",
    "mlp_width": "intermediate_size",
    "qk_norm": "use_qk_norm",
    "qkv_bias": "use_qkv_bias",
    "out_bias": "use_bias",
}
EXPERTS = {
    "count": "num_experts",
    "chosen": "num_experts_per_tok",
    "width": "moe_intermediate_size",
    "scores": "score_function",
    "renormalised": "norm_topk_prob",
    "groups": "n_group",
    "groups_chosen": "topk_group",
    "scale": "routed_scaling_factor",
    "bias": "moe_router_enable_expert_bias",
}

each_model = pytest.mark.parametrize("name", PUBLISHED)


@each_model
def test_it_gets_the_engine_and_its_default(name: str, tmp_path: Path) -> None:
    check_detected(PUBLISHED[name], tmp_path, engine="llada2", default="llada2")


@each_model
def test_its_file_is_read_as_it_is(name: str) -> None:
    model = PUBLISHED[name]
    read = LLaDA2Config.from_dict(model.config)
    check_shape(model, read, WORDS, EXPERTS)
    assert read.shape.experts is not None
    assert read.shape.experts.shared_width == model.config["moe_intermediate_size"]
    assert (read.rope_theta, read.rotary_channels) == (600000, 64)
    assert read.max_sequence_length == (16384 if name.endswith("preview") else 32768)
    assert (read.mask_token_id, read.eos_ids) == (156895, (156892,))


@each_model
def test_its_network_has_its_tensors_and_its_size(name: str) -> None:
    read = LLaDA2Config.from_dict(PUBLISHED[name].config)
    check_network(PUBLISHED[name], LLaDA2Network, read, LLaDA2Config.estimate)


@pytest.mark.parametrize(("name", "active"), [("LLaDA2.0-mini", 1.44), ("LLaDA2.0-flash", 6.1)])
def test_as_many_weights_work_on_a_column_as_is_published(name: str, active: float) -> None:
    shape = LLaDA2Config.from_dict(PUBLISHED[name].config).shape
    used = shape.active_products + 2 * shape.vocabulary * shape.width
    assert used / 1e9 == pytest.approx(active, rel=0.1)
