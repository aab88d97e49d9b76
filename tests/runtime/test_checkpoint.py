"""Loading: what is accepted, and what is said of what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llada_core import UsageError
from llada_runtime import CheckpointError, LLaDAConfig, LLaDAModel, UnsupportedArchitecture
from llada_runtime.network.weight_files import UnusedWeights

IDS = torch.tensor([[1, 2, 3, 4, 5]])
Q = "model.transformer.blocks.1.q_proj.weight"


def test_a_tied_head_reads_the_embedding(write_checkpoint) -> None:
    folder = write_checkpoint(config={"weight_tying": True})
    tied = LLaDAModel.from_pretrained(folder)(IDS)
    tensors = load_file(folder / "model.safetensors")
    untied = {**tensors, "model.transformer.ff_out.weight": tensors["model.transformer.wte.weight"].clone()}
    assert torch.equal(LLaDAModel.from_pretrained(write_checkpoint(weights=untied))(IDS), tied)


HEAD, EMBEDDING = "model.transformer.ff_out.weight", "model.transformer.wte.weight"


@pytest.mark.parametrize("kept", [{EMBEDDING}, {HEAD}, {EMBEDDING, HEAD}], ids=["embedding", "head", "both"])
def test_a_tied_weight_may_be_stored_under_one_name_or_both(write_checkpoint, kept: set[str]) -> None:
    tie = {"weight_tying": True}
    folder = write_checkpoint(config=tie)
    expected = LLaDAModel.from_pretrained(folder)(IDS)
    matrix = load_file(folder / "model.safetensors")[EMBEDDING]
    stored = {name: matrix.clone() if name in kept else ... for name in (EMBEDDING, HEAD)}
    model = LLaDAModel.from_pretrained(write_checkpoint(config=tie, weights=stored))
    assert torch.equal(model(IDS), expected)


def test_a_head_that_is_not_the_embedding_it_is_tied_to_is_not_used_and_told(write_checkpoint) -> None:
    tie = {"weight_tying": True}
    expected = LLaDAModel.from_pretrained(write_checkpoint(config=tie))(IDS)
    folder = write_checkpoint(config=tie, weights={HEAD: torch.ones(32, 16)})
    with pytest.warns(UnusedWeights, match=f"{HEAD} is not used, because config.json ties it"):
        model = LLaDAModel.from_pretrained(folder)
    assert torch.equal(model(IDS), expected)


def test_a_tied_weight_that_is_nowhere_is_named_by_both_names(write_checkpoint) -> None:
    folder = write_checkpoint(config={"weight_tying": True}, weights={EMBEDDING: ...})
    with pytest.raises(CheckpointError, match=f"lacks {EMBEDDING} or {HEAD}"):
        LLaDAModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        (torch.int8, "I8"),
        (torch.uint8, "U8"),
        (torch.int64, "I64"),
        (torch.bool, "BOOL"),
        (torch.float8_e4m3fn, "F8_E4M3"),
        (torch.float8_e5m2, "F8_E5M2"),
    ],
)
def test_numbers_that_mean_nothing_without_scales_are_refused(write_checkpoint, dtype, said: str) -> None:
    folder = write_checkpoint(weights={Q: torch.ones(16, 16).to(dtype)})
    with pytest.raises(
        CheckpointError, match=rf"{Q} is stored as {said}, .*; take the checkpoint that was not"
    ):
        LLaDAModel.from_pretrained(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_floating_point_numbers_of_any_width_are_read(write_checkpoint, dtype) -> None:
    LLaDAModel.from_pretrained(write_checkpoint(weights={Q: torch.ones(16, 16, dtype=dtype)}))


@pytest.mark.parametrize(
    "mark", ["weight_scale_inv", "qweight", "SCB", "weight.absmax", "weight.quant_state.bitsandbytes__nf4"]
)
def test_a_quantised_checkpoint_is_told_by_its_names(write_checkpoint, mark: str) -> None:
    name = f"{Q.removesuffix('.weight')}.{mark}"
    with pytest.raises(
        CheckpointError, match=rf"are quantised \({name}\), .*; take the checkpoint that was not"
    ):
        LLaDAModel.from_pretrained(write_checkpoint(weights={name: torch.ones(1), Q: ...}))


@pytest.mark.parametrize("name", ["rotary_emb.inv_freq", "blocks.0.rotary_emb.inv_freq", "position_ids"])
def test_buffers_that_follow_from_the_config_are_passed_over(write_checkpoint, name: str) -> None:
    expected = LLaDAModel.from_pretrained(write_checkpoint())(IDS)
    folder = write_checkpoint(weights={f"model.transformer.{name}": torch.ones(2)})
    assert torch.equal(LLaDAModel.from_pretrained(folder)(IDS), expected)


def test_weights_are_cast_to_the_dtype_asked_for(write_checkpoint) -> None:
    model = LLaDAModel.from_pretrained(write_checkpoint(), dtype="bfloat16")
    logits = model(IDS)
    assert model.dtype == logits.dtype == torch.bfloat16
    exact = LLaDAModel.from_pretrained(write_checkpoint(), dtype=torch.float32)(IDS)
    assert (logits.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({Q: ...}, f"lacks {Q}"),
        (
            {"model.transformer.extra": torch.zeros(2)},
            "holds model.transformer.extra, which",
        ),
        ({Q: torch.zeros(16, 8)}, rf"{Q} is \[16, 8\], and config.json makes it \[16, 16\]"),
    ],
)
def test_a_missing_unknown_or_misshapen_tensor_is_named(write_checkpoint, weights, message) -> None:
    with pytest.raises(CheckpointError, match=message):
        LLaDAModel.from_pretrained(write_checkpoint(weights=weights))


def test_files_are_compared_with_the_config_before_the_network_has_memory(write_checkpoint) -> None:
    folder = write_checkpoint()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "embedding_size": 10**12}))
    with pytest.raises(CheckpointError, match=r"weight is \[32, 16\], and config\.json makes it \[1000000"):
        LLaDAModel.from_pretrained(folder)


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json does not exist"):
        LLaDAModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_config_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="download it again"):
        LLaDAModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "field",
    [
        "d_model",
        "n_layers",
        "n_heads",
        "vocab_size",
        "max_sequence_length",
        "rope_theta",
        "mask_token_id",
        "rms_norm_eps",
    ],
)
def test_a_config_without_a_needed_field_names_it(write_checkpoint, field: str) -> None:
    folder = write_checkpoint()
    fields = json.loads((folder / "config.json").read_text())
    del fields[field]
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=f"{field} is missing"):
        LLaDAModel.from_pretrained(folder)


def test_end_tokens_may_be_left_to_other_files(write_checkpoint) -> None:
    folder = write_checkpoint()
    fields = json.loads((folder / "config.json").read_text())
    del fields["eos_token_id"]
    assert LLaDAConfig.from_dict(fields).eos_ids == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_layers", 0),
        ("n_layers", True),
        ("d_model", "16"),
        ("rope_theta", -1),
        ("mask_token_id", 32),
        ("eos_token_id", [1, "2"]),
        ("n_kv_heads", 3),
        ("d_model", 18),
    ],
)
def test_a_config_with_an_impossible_value_names_it(write_checkpoint, field: str, value: object) -> None:
    folder = write_checkpoint()
    fields = {**json.loads((folder / "config.json").read_text()), field: value}
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=field):
        LLaDAModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("model_type", "qwen3"), ("block_type", "sequential"), ("include_qkv_bias", True), ("rope", False)],
)
def test_another_architecture_is_refused_by_its_field(write_checkpoint, field: str, value: object) -> None:
    with pytest.raises(UnsupportedArchitecture, match=field):
        LLaDAModel.from_pretrained(write_checkpoint(config={field: value}))


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("meta", "device 'meta' has shapes and no numbers"),
        (torch.device("meta"), "device 'meta' has shapes and no numbers"),
        ("xpu:3", "device 'xpu:3' cannot be used here"),
        ("hpu", "device 'hpu' cannot be used here"),
    ],
)
def test_a_device_that_can_hold_no_weights_is_refused_as_such(write_checkpoint, device, said: str) -> None:
    with pytest.raises(CheckpointError, match=f"{said}.*; use 'cpu'"):
        LLaDAModel.from_pretrained(write_checkpoint(), device=device)


def test_an_unknown_device_and_dtype_are_refused(write_checkpoint) -> None:
    folder = write_checkpoint()
    with pytest.raises(UsageError, match="'warp'"):
        LLaDAModel.from_pretrained(folder, device="warp")
    with pytest.raises(UsageError, match="'int8'"):
        LLaDAModel.from_pretrained(folder, dtype="int8")
