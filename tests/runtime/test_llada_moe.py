"""LLaDA-MoE checkpoints: which of them are run, and what is told of the others."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed import checkpoint

from llada_core import DcpSource, UsageError
from llada_runtime import CheckpointError, LLaDAModel, Shape, UnsupportedArchitecture, estimate
from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from llada_runtime.models.register import load_network, network_class, tensor_names
from llada_runtime.models.steps import planned_steps
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.mlp import GatedMLP
from tests.support.llada_moe import LLADA_MOE_7B, LLADA_MOE_CONFIG, write_llada_moe


def test_the_architecture_tells_it_from_the_dense_model() -> None:
    assert network_class(LLADA_MOE_CONFIG) is LLaDAMoEModel
    assert network_class({**LLADA_MOE_CONFIG, "architectures": ["LLaDAModelLM"]}) is LLaDAModel


def test_one_that_does_not_name_its_architecture_is_told_to(tmp_path: Path) -> None:
    write_llada_moe(tmp_path)
    fields = {**LLADA_MOE_CONFIG, "architectures": None}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UnsupportedArchitecture, match=r"num_experts = 6 is of a mixture .*'LLaDAMoEModelLM'"):
        load_network(tmp_path, device="cpu")


def test_the_published_model_has_as_many_active_weights_as_it_says() -> None:
    shape = LLaDAMoEConfig.from_dict(LLADA_MOE_7B).shape  # "7B-A1B"
    assert round((shape.active_products + shape.vocabulary * shape.width) / 1e9, 1) == 1.4
    found = estimate(LLADA_MOE_7B)
    assert found.weights == 2 * shape.parameter_count + 2 * shape.routing
    assert found.kv_per_token == 2 * 16 * 2048 * 2


@pytest.mark.parametrize("changes", [{}, {"moe_layer_freq": [0, 1]}, {"tie_word_embeddings": True}])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", [None, "fp8", "int8"])
def test_the_memory_that_is_told_is_what_the_network_takes(
    tmp_path: Path, changes: dict[str, Any], dtype: str, kind: str | None
) -> None:
    changes = {**changes, "moe_router_enable_expert_bias": True}
    config = LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, **changes})
    precision = getattr(torch, dtype)
    network = LLaDAMoEModel(config, device=torch.device("cpu"), dtype=precision)
    if kind:
        network.quantise(kind)
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    found = estimate({**LLADA_MOE_CONFIG, **changes}, dtype=dtype, quantization=kind)
    assert found.weights == sum(held.values())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"clip_qkv": 8.0}, r"clip_qkv = 8\.0 is not implemented \(only null is\)"),
        ({"attention_bias": True}, r"attention_bias = True is not implemented \(only False is\)"),
        ({"shared_expert_intermediate_size": 64}, "shared_expert_intermediate_size = 64 is not implemented"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type = 'yarn' is not implemented"),
        ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor = 0\.5 is not implemented"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not implemented"),
        ({"moe_router_score_function": "sigmoid"}, "moe_router_score_function = 'sigmoid' is not impl"),
        ({"routed_scaling_factor": 2.5}, r"routed_scaling_factor = 2\.5 is not implemented"),
        ({"router_num_group": 8}, "router_num_group = 8 is not implemented"),
        ({"router_topk_group": 4}, "router_topk_group = 4 is not implemented"),
        ({"sliding_window": 64}, "sliding_window = 64 is not implemented"),
        ({"architectures": ["OtherLM"]}, r"architectures is \['OtherLM'\], and this network runs"),
    ],
)
def test_what_the_network_does_not_do_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UnsupportedArchitecture, match=told):
        LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, **changes})


def test_another_network_is_refused_before_a_mask_is_asked_for(tmp_path: Path) -> None:
    fields = {**LLADA_MOE_CONFIG, "mask_token_id": None, "clip_qkv": 8.0}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UnsupportedArchitecture, match=r"clip_qkv = 8\.0 is not implemented"):
        LLaDAMoEConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_experts_per_tok": 7}, "num_experts_per_tok = 7 is not at most num_experts = 6"),
        ({"num_experts": None}, "num_experts is missing"),
        ({"expert_intermediate_size": 0}, "expert_intermediate_size = 0 is not a positive integer"),
        ({"moe_layer_freq": [1]}, r"moe_layer_freq = \[1\] is not a list of 0 or 1 for each of 2 layers"),
        ({"moe_layer_freq": [1, 2]}, "moe_layer_freq = .* is not a list of 0 or 1"),
        ({"moe_layer_freq": [True, False]}, "moe_layer_freq = .* is not a list of 0 or 1"),
        ({"moe_layer_freq": None}, "moe_layer_freq = None is not a list"),
        ({"moe_layer_freq": [0, 1], "dense_intermediate_size": None}, "dense_intermediate_size is missing"),
        ({"num_attention_heads": 5}, "hidden_size = 32 is not an even number of channels for each of 5"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3 is not a divisor of 4 heads"),
        ({"head_dim": 16}, "head_dim = 16 is not hidden_size / num_attention_heads = 8"),
        ({"num_attention_heads": 32, "num_key_value_heads": 32}, "an even number of channels"),
        ({"qk_layernorm": "yes"}, "qk_layernorm = 'yes' is not true or false"),
        ({"mask_token_id": 64}, "mask_token_id = 64 is not an id from 0 to 63"),
        ({"eos_token_id": [61, 99]}, "eos_token_id = 99 is not an id from 0 to 63"),
        ({"eos_token_id": "end"}, "eos_token_id = 'end' is not an id from"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, **changes})


@pytest.mark.parametrize("told", [True, False])
def test_scores_are_not_brought_to_a_sum_of_one_whatever_the_config_says(told: bool) -> None:
    assert LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, "norm_topk_prob": told}) == (
        LLaDAMoEConfig.from_dict(LLADA_MOE_CONFIG)
    )


def test_missing_experts_are_named(tmp_path: Path) -> None:
    lost = {f"model.layers.1.mlp.experts.5.{part}_proj.weight": ... for part in ("gate", "up", "down")}
    with pytest.raises(CheckpointError, match=r"lacks model\.layers\.1\.mlp\.experts\.5\.down_proj\.weight"):
        load_network(write_llada_moe(tmp_path, weights=lost), device="cpu")


def test_more_experts_than_the_config_has_are_named(tmp_path: Path) -> None:
    write_llada_moe(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**LLADA_MOE_CONFIG, "num_experts": 5}))
    with pytest.raises(
        CheckpointError, match=r"experts\.5\.down_proj\.weight.*which this network has no place"
    ):
        load_network(tmp_path, device="cpu")


class TestTheMaskToken:
    def test_it_is_that_of_the_config(self, tmp_path: Path) -> None:
        self.write_tokenizer(tmp_path, 59)
        assert LLaDAMoEConfig.from_pretrained(write_llada_moe(tmp_path)).mask_token_id == 60

    @pytest.mark.parametrize("absent", [..., None])
    def test_else_that_of_the_tokenizer(self, tmp_path: Path, absent: Any) -> None:
        self.write_tokenizer(tmp_path, 59)
        write_llada_moe(tmp_path, mask_token_id=absent)
        assert LLaDAMoEConfig.from_pretrained(tmp_path).mask_token_id == 59

    def test_else_an_error_says_where_to_name_it(self, tmp_path: Path) -> None:
        write_llada_moe(tmp_path, mask_token_id=...)
        with pytest.raises(
            CheckpointError, match=r"mask_token_id is missing, and no other file .* have 156895"
        ):
            load_network(tmp_path, device="cpu")

    def test_one_that_is_no_id_is_not_replaced(self, tmp_path: Path) -> None:
        self.write_tokenizer(tmp_path, 59)
        write_llada_moe(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps({**LLADA_MOE_CONFIG, "mask_token_id": "<|mask|>"}))
        with pytest.raises(CheckpointError, match=r"mask_token_id = '<\|mask\|>' is not an id"):
            load_network(tmp_path, device="cpu")

    @staticmethod
    def write_tokenizer(folder: Path, mask: int) -> None:
        settings = {"mask_token": "<|mask|>", "added_tokens_decoder": {str(mask): {"content": "<|mask|>"}}}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def test_layers_with_a_zero_are_dense(tmp_path: Path) -> None:
    folder = write_llada_moe(tmp_path, moe_layer_freq=[0, 1])
    network = load_network(folder, device="cpu")
    assert isinstance(network, LLaDAMoEModel)
    assert [type(layer.mlp) for layer in network.layers] == [GatedMLP, ExpertMLP]
    assert "model.layers.0.mlp.gate_proj.weight" in (tensor_names(folder) or ())


def test_a_bias_of_the_experts_is_in_the_choice_and_in_the_weights(tmp_path: Path) -> None:
    bias = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.0, 0.25])
    named = {f"model.layers.{n}.mlp.expert_bias": bias.clone() for n in range(2)}
    folder = write_llada_moe(tmp_path, moe_router_enable_expert_bias=True, weights=named)
    network = LLaDAMoEModel.from_pretrained(folder, device="cpu")
    weights, layer = load_file(folder / "model.safetensors"), network.layers[1].mlp
    x = torch.randn(9, 32, generator=torch.Generator().manual_seed(0))
    found = layer(x, torch.zeros_like(x))
    torch.testing.assert_close(found, _published(weights, x, bias), atol=1e-5, rtol=1e-5)


def _published(weights: dict[str, Tensor], x: Tensor, bias: Tensor) -> Tensor:
    """Layer 1's experts as the published code has them: a loop, scores as they are."""
    root, mixed = "model.layers.1.mlp", torch.zeros_like(x)
    scores = (x @ weights[f"{root}.gate.weight"].T).softmax(-1) + bias
    for column, (kept, chosen) in enumerate(zip(*scores.topk(2), strict=True)):
        for weight, expert in zip(kept, chosen.tolist(), strict=True):
            gate, up, down = (
                weights[f"{root}.experts.{expert}.{part}_proj.weight"] for part in ("gate", "up", "down")
            )
            mixed[column] += weight * (down @ (F.silu(gate @ x[column]) * (up @ x[column])))
    return mixed


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_weights_of_eight_bits_are_near_the_plain_ones(tmp_path: Path, kind: str) -> None:
    folder, ids = write_llada_moe(tmp_path, scale=0.3), torch.tensor([[1, 2, 3, 60, 60]])
    plain = LLaDAMoEModel.from_pretrained(folder, device="cpu")(ids)
    rounded = load_network(folder, device="cpu", quantization=kind)
    assert isinstance(rounded, LLaDAMoEModel)
    assert rounded.quantization == kind
    assert (rounded(ids) - plain).norm() < 0.2 * plain.norm()


def test_a_trainers_weights_are_read_straight_into_it(tmp_path: Path) -> None:
    folder, ids = write_llada_moe(tmp_path), torch.tensor([[1, 2, 3, 60, 60]])
    wanted = LLaDAMoEModel.from_pretrained(folder, device="cpu")(ids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        state = {"app": {"model": load_file(folder / "model.safetensors")}}
        checkpoint.save(state, checkpoint_id=tmp_path / "trained")
    (folder / "model.safetensors").unlink()
    network = load_network(folder, device="cpu", dcp=DcpSource(path=tmp_path / "trained"))
    assert isinstance(network, LLaDAMoEModel)
    assert torch.equal(network(ids), wanted)


def test_it_is_not_split_between_ranks(tmp_path: Path) -> None:
    folder = write_llada_moe(tmp_path)
    with pytest.raises(UsageError, match="tensor_parallel=2 splits no network whose layers have experts"):
        load_network(folder, device="cpu", tensor_parallel=2)
    with pytest.raises(UsageError, match="tensor_parallel=2 splits no network whose layers have experts"):
        estimate(LLADA_MOE_CONFIG, tensor_parallel=2)


def test_how_its_steps_would_run_is_said_without_the_mask() -> None:
    assert planned_steps(LLADA_MOE_7B, device="cpu", dtype="float32") == (
        "steps run on torch's own kernels, launched one by one (the device is cpu, and the kernels are for "
        "NVIDIA's GPUs)"
    )


def test_a_shape_tells_which_layers_have_experts() -> None:
    shape: Shape = LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, "moe_layer_freq": [0, 1]}).shape
    assert shape.experts_of(0) is None
    assert shape.experts_of(1) is shape.experts
