"""Which models are the engine's, told from ``config.json`` alone, and what its network refuses by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import IncompatibleEngine, UnsupportedModel
from llada_core.registry.wheels import published, takes
from llada_runtime import CheckpointError, UnsupportedArchitecture
from llada_sdar import SDARConfig
from llada_sdar.plugin import llada_engines
from tests.sdar.tiny_models import DENSE, MOE, write_model
from tests.sdar.tiny_tokenizer import MASK

AUTO = {"AutoModelForCausalLM": "modeling_sdar.SDARForCausalLM"}
TRADO = {**DENSE, "auto_map": AUTO, "block_size": ..., "mask_token_id": ...}
QWEN = {**DENSE, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
LLADA2 = {"model_type": "llada2_moe", "architectures": ["LLaDA2MoeModelLM"], "num_experts": 8}
OWN = [DENSE, MOE, {"architectures": ["SDARForCausalLM"]}, {"model_type": "sdar_moe"}]
OTHERS = [QWEN, LLADA2, {"model_type": "llada", "architectures": ["LLaDAModelLM"]}, {"model_type": "Dream"}]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


def write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
    return folder


@pytest.mark.parametrize("config", [*OWN, TRADO])
def test_the_family_is_taken(tmp_path: Path, config: dict[str, Any]) -> None:
    assert llada_core.detect_engine(write(tmp_path, config)) == "sdar"


def test_a_plain_qwen_is_nobodys(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel):
        llada_core.detect_engine(write(tmp_path, QWEN))


@pytest.mark.parametrize("config", OTHERS)
def test_the_engine_refuses_what_is_not_its_own(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(IncompatibleEngine, match="sdar"):
        llada_core.load_model(write(tmp_path, config), engine="sdar")
    with pytest.raises(UnsupportedArchitecture, match="this network runs sdar, SDARForCausalLM, sdar_moe"):
        SDARConfig.from_dict(config)


@pytest.mark.parametrize("config", [*OWN, *OTHERS])
def test_the_row_of_known_wheels_takes_the_same(config: dict[str, Any]) -> None:
    model = ModelConfig(path="x", fields=config)
    (engine,) = llada_engines()
    (row,) = [row for row in published().rows if row.engine == engine.name]
    assert takes(row, model) is model.matches(engine.model_types, engine.architectures)
    for field in ("priority", "model_types", "architectures", "summary"):
        assert getattr(row, field) == getattr(engine, field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("use_sliding_window", True),
        ("clip_qkv", 8.0),
        ("partial_rotary_factor", 0.5),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("rope_scaling", {"type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "linear", "factor": 2.0}),
        ("rope_parameters", {"rope_theta": 1e6, "partial_rotary_factor": 0.25}),
        ("num_experts", 8),
        ("use_mrope", True),
        ("is_causal", True),
        ("use_qk_norm", False),
        ("n_routed_experts", 8),
        ("scoring_func", "sigmoid"),
        ("logits_scaling", 8.0),
        ("decoder_sparse_step", 2),
        ("n_group", 8),
        ("routed_scaling_factor", 2.5),
        ("num_shared_experts", 1),
        ("shared_expert_intermediate_size", 64),
    ],
)
def test_a_field_that_is_not_implemented_is_refused_by_its_name(field: str, value: object) -> None:
    inner = [name for name in ("rope_type", "type", "partial_rotary_factor") if name in str(value)]
    named = inner[0] if inner else field
    with pytest.raises(UnsupportedArchitecture, match=rf"config.json: ({field}\.)?{named} = .* is not impl"):
        SDARConfig.from_dict({**DENSE, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", "2"),
        ("num_key_value_heads", 3),
        ("head_dim", 15),
        ("rms_norm_eps", float("nan")),
        ("rope_theta", 1.0),
        ("rope_scaling", "yarn"),
        ("max_position_embeddings", 0),
        ("block_size", 0),
        ("block_size", 10**6),
        ("mask_token_id", 500),
        ("eos_token_id", [1, -1]),
        ("tie_word_embeddings", "no"),
    ],
)
def test_a_malformed_field_is_named(field: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=f"config.json: {field} = "):
        SDARConfig.from_dict({**DENSE, field: value})


@pytest.mark.parametrize(
    "field", ["hidden_size", "num_experts", "num_experts_per_tok", "moe_intermediate_size"]
)
def test_missing_numbers_are_named(field: str) -> None:
    with pytest.raises(CheckpointError, match=f"config.json: {field} is missing"):
        SDARConfig.from_dict({**MOE, field: None})


def test_whether_scores_are_renormalised_is_not_guessed() -> None:
    with pytest.raises(CheckpointError, match="norm_topk_prob is missing"):
        SDARConfig.from_dict({**MOE, "norm_topk_prob": None})


def test_more_experts_a_column_than_there_are_is_refused() -> None:
    with pytest.raises(CheckpointError, match="lets 7 of 6 experts work on a column"):
        SDARConfig.from_dict({**MOE, "num_experts_per_tok": 7})


def test_the_number_of_experts_may_be_said_twice_and_not_otherwise() -> None:
    assert SDARConfig.from_dict({**MOE, "num_local_experts": 6}) == SDARConfig.from_dict(MOE)
    with pytest.raises(UnsupportedArchitecture, match="num_local_experts = 4 is not implemented"):
        SDARConfig.from_dict({**MOE, "num_local_experts": 4})


def test_layers_of_a_mixture_may_be_dense() -> None:
    shape = SDARConfig.from_dict({**MOE, "mlp_only_layers": [0]}).shape
    assert shape.experts_of(0) is None
    assert shape.experts_of(1) is not None
    with pytest.raises(CheckpointError, match=r"mlp_only_layers = .* is not a list of layers from 0 to 1"):
        SDARConfig.from_dict({**MOE, "mlp_only_layers": [2]})


def test_settings_of_transformers_five_are_read_too() -> None:
    fields = {**DENSE, "rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
    config = SDARConfig.from_dict({**fields, "layer_types": ["full_attention"] * 2})
    assert config.rope_theta == 1e4


def test_another_network_is_refused_before_a_mask_is_asked_for(tmp_path: Path) -> None:
    fields = {**DENSE, "mask_token_id": None, "clip_qkv": 8.0}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UnsupportedArchitecture, match=r"clip_qkv = 8\.0 is not implemented"):
        SDARConfig.from_pretrained(tmp_path)


def test_an_old_file_leaves_the_mask_to_the_tokenizer(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "old", block_size=...)
    fields = json.loads((folder / "config.json").read_text())
    del fields["mask_token_id"]
    (folder / "config.json").write_text(json.dumps(fields))
    config = SDARConfig.from_pretrained(folder)
    assert (config.mask_token_id, config.block_size) == (MASK, None)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"mask_token_id is missing, and no other file .* have 151669"):
        SDARConfig.from_pretrained(folder)
