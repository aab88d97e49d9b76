"""Which files are read: those that transformers reads, and what is said where there are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llada_runtime import CheckpointError, LLaDAModel
from llada_runtime.network.weight_files import UnusedWeights, locate
from llada_runtime.testing import write_llada

IDS = torch.tensor([[1, 2, 3, 4, 5]])
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FIRST, SECOND = "model-1-of-2.safetensors", "model-2-of-2.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_llada(tmp_path)


@pytest.fixture
def sharded(folder: Path) -> Path:
    """The checkpoint in two files, with an index."""
    tensors = load_file(folder / SINGLE)
    places = {name: FIRST if n < 5 else SECOND for n, name in enumerate(sorted(tensors))}
    for file in (FIRST, SECOND):
        save_file({name: tensors[name] for name in places if places[name] == file}, folder / file)
    write_index(folder, places)
    (folder / SINGLE).unlink()
    return folder


def write_index(folder: Path, weight_map: Any) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def weight_map(folder: Path) -> dict[str, str]:
    places: dict[str, str] = json.loads((folder / INDEX).read_text())["weight_map"]
    return places


def logits(folder: Path) -> torch.Tensor:
    return LLaDAModel.from_pretrained(folder)(IDS)


def test_a_sharded_checkpoint_equals_the_single_file(sharded: Path, tmp_path: Path) -> None:
    (tmp_path / "single").mkdir()
    assert torch.equal(logits(sharded), logits(write_llada(tmp_path / "single")))


@pytest.mark.parametrize(
    "stale",
    ['{"weight_map": {"old": "model-00001-of-00009.safetensors"}}', '{"weight_map": {}}', "[]", "{"],
    ids=["of other shards", "of nothing", "a list", "damaged"],
)
def test_the_single_file_wins_over_an_index_that_is_not_of_it_and_that_is_told(
    folder: Path, stale: str
) -> None:
    expected = logits(folder)
    (folder / INDEX).write_text(stale)
    with pytest.warns(
        UnusedWeights, match=f"{INDEX}, which is not of it: {SINGLE} is loaded, as it is by trans"
    ):
        found = logits(folder)
    assert torch.equal(found, expected)


def test_the_single_file_wins_over_complete_shards_too(sharded: Path) -> None:
    save_file({"other": torch.ones(1)}, sharded / SINGLE)
    with pytest.warns(UnusedWeights):
        assert set(locate(sharded)) == {"other"}


def test_an_index_of_the_single_file_is_not_worth_a_word(folder: Path) -> None:
    write_index(folder, dict.fromkeys(load_file(folder / SINGLE), SINGLE))
    assert len(locate(folder)) == 21


def test_where_a_tensor_is_the_files_say_and_not_the_index(sharded: Path) -> None:
    expected = logits(sharded)
    swapped = {FIRST: SECOND, SECOND: FIRST}
    write_index(sharded, {name: swapped[file] for name, file in weight_map(sharded).items()})
    assert torch.equal(logits(sharded), expected)


def test_the_links_of_the_hubs_cache_are_followed(sharded: Path, tmp_path: Path) -> None:
    expected = logits(sharded)
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "v1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, name in enumerate(("config.json", INDEX, FIRST, SECOND)):
        shutil.copy(sharded / name, blobs / str(number))
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    assert torch.equal(logits(snapshot), expected)


Damage = Callable[[Path], object]


def _surplus(folder: Path) -> None:
    write_index(folder, {**weight_map(folder), "nowhere": SECOND})


def _twice(folder: Path) -> None:
    shutil.copy(folder / SECOND, folder / "more.safetensors")
    write_index(folder, {**weight_map(folder), "more": "more.safetensors"})


def _to(file: Any) -> Damage:
    return lambda folder: write_index(folder, dict.fromkeys(weight_map(folder), file))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
DAMAGES: list[tuple[Damage, str]] = [
    (
        lambda f: (f / SECOND).unlink(),
        f"{SECOND} is named in {INDEX} and does not exist; download the missing",
    ),
    (
        lambda f: (f / SECOND).write_bytes(b""),
        f"{SECOND} is not a complete safetensors .*; download it again",
    ),
    (lambda f: (f / SECOND).write_text(POINTER), "it is a pointer of git-lfs: run git lfs pull"),
    (lambda f: (f / INDEX).write_text(POINTER), "as a weight index .* run git lfs pull"),
    (_surplus, f"{SECOND} lacks nowhere, which {INDEX} places there; download both again"),
    (_twice, r"more\.safetensors holds .* and so does model-2-of-2\.safetensors; remove the shards"),
    (lambda f: write_index(f, {}), f"{INDEX} names no weights; download it again, with the shards"),
    (lambda f: write_index(f, []), f"{INDEX} cannot be read as a weight index"),
    (lambda f: (f / INDEX).write_text("[]"), f"{INDEX} cannot be read as a weight index"),
    (lambda f: (f / INDEX).write_text("[" * 100_000), f"{INDEX} cannot be read as a weight index"),
    (_to("../elsewhere.safetensors"), "names '../elsewhere.safetensors', which is no file in its folder"),
    (_to("/etc/elsewhere.safetensors"), "which is no file in its folder; download it again from a source"),
    (_to("C:\\elsewhere.safetensors"), "which is no file in its folder"),
    (_to("a\0b"), "which is no file in its folder"),
    (_to(""), "which is no file in its folder"),
    (_to(3), "names 3, which is no file in its folder"),
    (_to(None), "names None, which is no file in its folder"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_damaged_index_or_shard_is_told_with_the_remedy(sharded: Path, damage: Damage, said: str) -> None:
    damage(sharded)
    with pytest.raises(CheckpointError, match=said):
        LLaDAModel.from_pretrained(sharded)


def test_a_truncated_file_is_named_with_the_remedy(folder: Path) -> None:
    file = folder / SINGLE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a complete .* download it again"):
        LLaDAModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["model.fp16.safetensors"], "a variant, .*; rename it to model.safetensors"),
        (["model.fp16-00001-of-00002.safetensors"], "a variant"),
        (["pytorch_model.bin"], "holds pytorch_model.bin: pickles.*; convert the weights to safetensors"),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], "convert the weights"),
        (
            ["consolidated.00.pth", "params.json"],
            "of their authors' own code; give the checkpoint in the Hugg",
        ),
        (["consolidated.safetensors"], "of their authors' own code"),
        (["adapter_model.safetensors", "adapter_config.json"], "holds an adapter of a base model .*; merge"),
        (
            ["model-00001-of-00002.safetensors"],
            "shards without their index; download model.safetensors.index",
        ),
        (["weights.safetensors"], "under another name; rename the weights to model.safetensors"),
        (["model.gguf"], "weights of llama.cpp; give the checkpoint that they were made from"),
        (["tf_model.h5"], "a model of another library"),
        ([".metadata", "__0_0.distcp"], r"load_dcp\('.*', BASE\), .*, where BASE is this folder"),
        ([], "download the weights"),
    ],
)
def test_a_folder_without_safetensors_is_told_what_it_holds(
    folder: Path, names: list[str], said: str
) -> None:
    for name in names:
        shutil.copy(folder / SINGLE, folder / name)
    (folder / SINGLE).unlink()
    with pytest.raises(CheckpointError, match=f"holds neither {SINGLE} nor {INDEX}; .*{said}"):
        LLaDAModel.from_pretrained(folder)


def test_a_link_to_nothing_is_told_as_such(folder: Path) -> None:
    (folder / SINGLE).unlink()
    (folder / SINGLE).symlink_to("../blobs/gone")
    with pytest.raises(
        CheckpointError, match="is a link to a file that does not exist; download the weights"
    ):
        LLaDAModel.from_pretrained(folder)


def test_a_folder_whose_name_is_no_text_is_the_fault_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "d\udce9"
    folder.mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").rename(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"is no name in UTF-8.*rename its folder"):
        locate(folder)
