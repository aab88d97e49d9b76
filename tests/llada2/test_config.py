"""What ``config.json`` may say, and the error that names what it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import llada_core
from llada_core import CheckpointError, ModelLoadError
from llada_llada2 import LLaDA2Config, LLaDA2Network
from llada_runtime import UnsupportedArchitecture
from tests.llada2.tiny_models import CONFIG, EOS, MASK, MINI, write_model
from tests.llada2.tiny_tokenizer import write_tokenizer


def config(**changes: Any) -> LLaDA2Config:
    fields = {**CONFIG, **changes}
    return LLaDA2Config.from_dict({name: each for name, each in fields.items() if each is not ...})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_bias", True),
        ("use_qkv_bias", True),
        ("hidden_act", "gelu"),
        ("use_sliding_window", True),
        ("clip_qkv", 8.0),
        ("norm_head", True),
        ("attention_bias", True),
        ("sliding_window", 64),
        ("mlp_only_layers", [0]),
        ("norm_softmax", True),
        ("score_function", "softmax"),
        ("router_dtype", "bf16"),
        ("norm_topk_prob", False),
        ("moe_router_enable_expert_bias", False),
        ("quantization_config", {"quant_method": "gptq"}),
    ],
)
def test_what_the_network_does_not_implement_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(
        UnsupportedArchitecture, match=rf"^config.json: {field} = .* is not implemented \(only"
    ):
        config(**{field: value})


def test_a_type_of_llada2_2_is_told_as_that() -> None:
    with pytest.raises(UnsupportedArchitecture, match=r"model_type = 'llada22_moe' is of LLaDA2\.2"):
        config(model_type="llada22_moe")


@pytest.mark.parametrize("field", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("kind", ["yarn", "linear", "dynamic", "llama3"])
def test_other_kinds_of_rotary_embedding_are_refused(field: str, kind: str) -> None:
    with pytest.raises(
        UnsupportedArchitecture, match=rf"{field}.rope_type = '{kind}' is not implemented \(only"
    ):
        config(**{field: {"rope_type": kind, "factor": 4.0}})


@pytest.mark.parametrize("field", ["delete_token_id", "split_token_id", "expert_capacity"])
def test_a_2_2_checkpoint_is_refused_with_a_sentence(field: str, tmp_path: Path) -> None:
    told = rf"{field} = 48 is of LLaDA2.2, which inserts and deletes .*2.0 and 2.1; run it with SGLang"
    with pytest.raises(UnsupportedArchitecture, match=told):
        config(**{field: 48})
    folder = write_model(tmp_path)
    _set(folder, **{field: 48})
    with pytest.raises(ModelLoadError, match=told):
        llada_core.load_model(folder, device="cpu")


def test_the_format_for_training_is_refused_with_a_sentence() -> None:
    with pytest.raises(
        UnsupportedArchitecture, match="dFactory's format for training, whose experts are merged"
    ):
        config(model_type="llada2_moe_veomni")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_experts": ...}, "num_experts is missing"),
        ({"use_bias": ...}, "use_bias is missing"),
        ({"n_group": ...}, "n_group is missing"),
        ({"partial_rotary_factor": ...}, "partial_rotary_factor is missing"),
        ({"num_experts": 0}, "num_experts = 0 is not a positive integer"),
        ({"num_experts_per_tok": 9}, "lets 9 of 8 experts work on a column"),
        ({"num_experts_per_tok": 5}, "lets 5 experts work on a column, and the 2 of 4 groups"),
        ({"n_group": 3}, "3 equal groups of 8 experts"),
        ({"topk_group": 5}, "chooses 5 of 4 equal groups"),
        ({"moe_intermediate_size": None}, "moe_intermediate_size is missing"),
        ({"first_k_dense_replace": 4}, "first_k_dense_replace = 4 is not at most the number of layers, 3"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3 is not a divisor of 4 heads"),
        ({"partial_rotary_factor": 0.05}, "partial_rotary_factor = 0.05 is not an even part of the 16"),
        ({"partial_rotary_factor": 1.5}, "partial_rotary_factor = 1.5 is not an even part"),
        ({"rotary_dim": 16}, "rotary_dim = 16 is not 8, as partial_rotary_factor makes it"),
        ({"rope_theta": 1}, "rope_theta = 1.0 is not a number above 1"),
        ({"rope_theta": 10**400}, "rope_theta = 1000.* is not a finite number above 0"),
        ({"rope_theta": float("nan")}, "rope_theta = nan is not a finite number above 0"),
        ({"rms_norm_eps": "1e-6"}, "rms_norm_eps = '1e-6' is not a finite number"),
        ({"rope_scaling": [1]}, r"rope_scaling = \[1\] is not an object"),
        ({"use_qk_norm": 1}, "use_qk_norm = 1 is not true or false"),
        ({"hidden_size": True}, "hidden_size = True is not a positive integer"),
        ({"vocab_size": ...}, "vocab_size is missing"),
        ({"max_position_embeddings": ...}, "max_position_embeddings is missing"),
        ({"mask_token_id": 128}, "mask_token_id = 128 is not an id from 0 to 127"),
        ({"eos_token_id": [3, -1]}, "eos_token_id = -1 is not an id from 0 to 127"),
        ({"eos_token_id": "x"}, "eos_token_id = 'x' is not an id"),
    ],
)
def test_a_damaged_field_is_named_with_what_it_should_be(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckpointError, match=told) as error:
        config(**changes)
    assert str(error.value).endswith("take the config.json that was published with the weights")


def test_settings_of_transformers_five_are_read_too() -> None:
    plain = LLaDA2Config.from_dict(MINI)
    assert LLaDA2Config.from_dict({**MINI, "rope_parameters": {"rope_type": "default"}}) == plain


def test_one_expert_a_column_is_not_renormalised() -> None:
    experts = config(num_experts_per_tok=1).shape.experts
    assert experts is not None
    assert not experts.renormalised


def test_the_number_of_experts_may_be_said_twice_and_not_otherwise() -> None:
    assert LLaDA2Config.from_dict({**CONFIG, "num_local_experts": 8}) == LLaDA2Config.from_dict(CONFIG)
    with pytest.raises(UnsupportedArchitecture, match="num_local_experts = 4 is not implemented"):
        LLaDA2Config.from_dict({**CONFIG, "num_local_experts": 4})


def test_several_end_tokens_are_kept() -> None:
    assert config(eos_token_id=[EOS, 3]).eos_ids == (EOS, 3)
    assert config(eos_token_id=None).eos_ids == ()


# -- which token is the mask


def test_the_config_tells_the_mask(tmp_path: Path) -> None:
    assert LLaDA2Config.from_pretrained(write_model(tmp_path)).mask_token_id == MASK


@pytest.mark.parametrize("given", [..., None])
def test_else_the_generation_config_does(tmp_path: Path, given: object) -> None:
    folder = write_model(tmp_path, tokenizer=False)
    _set(folder, mask_token_id=given)
    (folder / "generation_config.json").write_text(json.dumps({"mask_token_id": 99}))
    assert LLaDA2Config.from_pretrained(folder).mask_token_id == 99


def _set(folder: Path, **changes: object) -> None:
    fields = {**json.loads((folder / "config.json").read_text()), **changes}
    kept = {name: each for name, each in fields.items() if each is not ...}
    (folder / "config.json").write_text(json.dumps(kept))


def test_else_the_tokenizer_does(tmp_path: Path) -> None:
    assert LLaDA2Config.from_pretrained(write_model(tmp_path, mask_token_id=...)).mask_token_id == MASK


@pytest.mark.parametrize("tokenizer", [False, True])
def test_without_any_a_vocabulary_of_its_own_is_refused(tmp_path: Path, tokenizer: bool) -> None:
    folder = write_model(tmp_path, tokenizer=False, mask_token_id=...)
    if tokenizer:
        write_tokenizer(folder, mask=False)
    with pytest.raises(
        CheckpointError, match=r"mask_token_id is missing, and no other file .*; add the id of"
    ):
        LLaDA2Config.from_pretrained(folder)
    with pytest.raises(ModelLoadError, match="mask_token_id is missing"):
        llada_core.load_model(folder, device="cpu")


def test_another_model_is_refused_before_a_mask_is_asked_for(tmp_path: Path) -> None:
    fields = {**CONFIG, "mask_token_id": None, "delete_token_id": 48}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UnsupportedArchitecture, match=r"is of LLaDA2\.2, which inserts and deletes tokens"):
        LLaDA2Config.from_pretrained(tmp_path)


def test_the_published_vocabulary_has_the_published_mask(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MINI))
    assert LLaDA2Config.from_pretrained(tmp_path).mask_token_id == 156895
    write_tokenizer(tmp_path)  # which says otherwise, and is of the checkpoint
    assert LLaDA2Config.from_pretrained(tmp_path).mask_token_id == MASK


def test_a_missing_expert_is_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.experts.3.up_proj.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"lacks model.layers.1.mlp.experts.3.up_proj.weight; check that"
    ):
        LLaDA2Network.from_pretrained(folder, device="cpu")
