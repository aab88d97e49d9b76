"""What of ``config.json`` is read, and what is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.errors import ModelLoadError
from llada_dream import DreamConfig, DreamNetwork
from llada_runtime import CheckpointError, UnsupportedArchitecture
from tests.dream.published import DREAM_7B, FAMILY
from tests.dream.tiny import write_model


@pytest.mark.parametrize("name", FAMILY)
def test_published_configs_are_read(name: str) -> None:
    config = DreamConfig.from_dict(FAMILY[name])
    assert (config.head_dim, config.rope_theta, config.mask_token_id) == (128, 1e6, 151666)
    assert (config.eos_ids, config.shape.qkv_bias, config.shape.out_bias) == ((151643,), True, False)


@pytest.mark.parametrize(
    ("field", "value", "implemented"),
    [
        ("hidden_act", "gelu", "'silu'"),
        ("attention_bias", False, "True"),
        ("mlp_bias", True, "False"),
        ("use_sliding_window", True, "False"),
        ("use_mrope", True, "False"),
        ("clip_qkv", 8.0, "null"),
        ("qk_norm", True, "False"),
        ("use_qk_norm", True, "False"),
        ("partial_rotary_factor", 0.5, "1.0"),
        ("num_experts", 64, "0"),
        ("num_local_experts", 8, "0"),
        ("is_causal", True, "False"),
        ("n_routed_experts", 8, "0"),
        ("qkv_bias", False, "True"),
        ("logits_scaling", 8.0, "1"),
        ("final_logit_softcapping", 30.0, "null"),
        ("head_dim", 64, "128"),
        ("layer_types", ["full_attention", "sliding_attention"], "'full_attention'"),
    ],
)
def test_what_the_network_does_not_implement_is_refused_by_name(
    field: str, value: Any, implemented: str
) -> None:
    told = rf"config\.json: {field} = .* is not implemented \(only {implemented} is\)"
    with pytest.raises(UnsupportedArchitecture, match=told):
        DreamConfig.from_dict({**DREAM_7B, field: value})


@pytest.mark.parametrize("field", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("kind", ["rope_type", "type"])
def test_other_kinds_of_rotary_embedding_are_refused(field: str, kind: str) -> None:
    with pytest.raises(UnsupportedArchitecture, match=f"{kind} = 'yarn' is not implemented"):
        DreamConfig.from_dict({**DREAM_7B, field: {kind: "yarn", "factor": 4.0}})
    plain = DreamConfig.from_dict({**DREAM_7B, field: {kind: "default"}})
    assert plain == DreamConfig.from_dict(DREAM_7B)
    with pytest.raises(CheckpointError, match=f"{field} = 'yarn' is not an object"):
        DreamConfig.from_dict({**DREAM_7B, field: "yarn"})


def test_a_model_of_another_family_is_refused() -> None:
    with pytest.raises(UnsupportedArchitecture, match="model_type is 'qwen2' and architectures is"):
        DreamConfig.from_dict({**DREAM_7B, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]})


@pytest.mark.parametrize(
    "field",
    [
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "rms_norm_eps", "rope_theta", "vocab_size", "max_position_embeddings",
    ],
)  # fmt: skip
def test_a_missing_field_is_named_and_not_guessed(field: str) -> None:
    given = {name: value for name, value in DREAM_7B.items() if name != field}
    with pytest.raises(CheckpointError, match=f"config.json: {field} is missing; take the config.json"):
        DreamConfig.from_dict(given)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mask_token_id": 152064}, "mask_token_id = 152064 is not an id"),
        ({"mask_token_id": True}, "mask_token_id = True is not an id"),
        ({"eos_token_id": [1, -1]}, "eos_token_id = -1 is not an id"),
        ({"hidden_size": 3585}, "hidden_size = 3585 is not an even number of channels for each of 28 heads"),
        ({"hidden_size": 28 * 3}, "hidden_size = 84 is not an even number of channels"),
        ({"hidden_size": "3584"}, "hidden_size = '3584' is not a positive integer"),
        ({"num_key_value_heads": 5}, "num_key_value_heads = 5 is not a divisor of 28 heads"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0 is not a positive integer"),
        ({"rope_theta": 1.0}, "rope_theta = 1.0 is not a number above 1"),
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps = inf is not a finite number"),
        ({"rms_norm_eps": "tiny"}, "rms_norm_eps = 'tiny' is not a finite number above 0"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings = 'no' is not true or false"),
    ],
)
def test_a_malformed_field_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckpointError) as refused:
        DreamConfig.from_dict({**DREAM_7B, **changes})
    assert told in str(refused.value)


def test_heads_of_keys_that_are_null_are_as_many_as_of_queries() -> None:
    assert DreamConfig.from_dict({**DREAM_7B, "num_key_value_heads": None}).num_key_value_heads == 28


def test_several_ends_and_none_are_read() -> None:
    assert DreamConfig.from_dict({**DREAM_7B, "eos_token_id": [151643, 151645]}).eos_ids == (151643, 151645)
    assert DreamConfig.from_dict({**DREAM_7B, "eos_token_id": None}).eos_ids == ()


def test_a_mask_that_no_file_tells_is_asked_for_and_memory_is_told_without(tmp_path: Path) -> None:
    fields = {**DREAM_7B, "mask_token_id": None}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=r"mask_token_id is missing, and no other file .* have 151666"):
        DreamConfig.from_pretrained(tmp_path)
    assert DreamConfig.estimate(fields) == DreamConfig.estimate(DREAM_7B)
    assert DreamNetwork.planned_steps(fields, device="cpu", dtype="float32").startswith("steps run on ")


def test_another_network_is_refused_before_a_mask_is_asked_for(tmp_path: Path) -> None:
    folder = write_model(tmp_path, tokenizer=False, mask_token_id=..., clip_qkv=8.0)
    with pytest.raises(UnsupportedArchitecture, match=r"clip_qkv = 8\.0 is not implemented"):
        DreamConfig.from_pretrained(folder)


def test_a_refusal_reaches_who_loads_the_model(tmp_path: Path) -> None:
    folder = write_model(tmp_path, use_sliding_window=True)
    with pytest.raises(ModelLoadError, match="use_sliding_window = True is not implemented"):
        llada_core.load_model(folder, device="cpu")
