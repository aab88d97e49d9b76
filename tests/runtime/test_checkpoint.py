"""Loading: what is accepted, and what is said of what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llada_runtime import CheckpointError, LLaDAModel, UnsupportedArchitecture

IDS = torch.tensor([[1, 2, 3, 4, 5]])
Q = "model.transformer.blocks.1.q_proj.weight"


def shard(folder: Path) -> None:
    """Split the single file in two, with an index."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    places = {name: f"model-{1 + (n >= 5)}-of-2.safetensors" for n, name in enumerate(names)}
    for file in set(places.values()):
        save_file({n: tensors[n] for n in names if places[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "model.safetensors").unlink()


def test_a_sharded_checkpoint_equals_the_single_file(write_checkpoint) -> None:
    folder = write_checkpoint()
    expected = LLaDAModel.from_pretrained(folder)(IDS)
    shard(folder)
    assert torch.equal(LLaDAModel.from_pretrained(folder)(IDS), expected)


def test_a_tied_head_reads_the_embedding(write_checkpoint) -> None:
    folder = write_checkpoint(config={"weight_tying": True})
    tied = LLaDAModel.from_pretrained(folder)(IDS)
    tensors = load_file(folder / "model.safetensors")
    untied = {**tensors, "model.transformer.ff_out.weight": tensors["model.transformer.wte.weight"].clone()}
    assert torch.equal(LLaDAModel.from_pretrained(write_checkpoint(weights=untied))(IDS), tied)


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


def test_a_truncated_file_is_named_with_the_remedy(write_checkpoint) -> None:
    file = write_checkpoint() / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a complete .* download it again"):
        LLaDAModel.from_pretrained(file.parent)


def test_a_missing_shard_is_named(write_checkpoint) -> None:
    folder = write_checkpoint()
    shard(folder)
    (folder / "model-2-of-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2-of-2\.safetensors is named in .* does not exist"):
        LLaDAModel.from_pretrained(folder)


def test_an_index_that_places_a_tensor_wrongly_is_refused(write_checkpoint) -> None:
    folder = write_checkpoint()
    shard(folder)
    index = folder / "model.safetensors.index.json"
    text = index.read_text().replace("model-2-of-2", "model-1-of-2")
    index.write_text(text)
    with pytest.raises(CheckpointError, match=r"lacks .* and 1[0-9] more, which .* places there"):
        LLaDAModel.from_pretrained(folder)


def test_an_index_that_is_no_index_is_refused(write_checkpoint) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(CheckpointError, match="cannot be read as a weight index"):
        LLaDAModel.from_pretrained(folder)


def test_weights_in_another_format_are_pointed_out(write_checkpoint) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: convert the weights to safetensors"):
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
        "eos_token_id",
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


def test_an_unknown_device_and_dtype_are_refused(write_checkpoint) -> None:
    folder = write_checkpoint()
    with pytest.raises(CheckpointError, match="'warp'"):
        LLaDAModel.from_pretrained(folder, device="warp")
    with pytest.raises(CheckpointError, match="'int8'"):
        LLaDAModel.from_pretrained(folder, dtype="int8")
