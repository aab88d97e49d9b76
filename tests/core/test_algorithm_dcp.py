"""Loading the weights of a ``torch.distributed.checkpoint`` folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributed import checkpoint

from llada_core import ModelLoadError, ModelNotFound, get_algorithm
from llada_core.checkpoints.dcp import as_hf_folder

pytestmark = pytest.mark.usefixtures("world")
WEIGHTS = {
    "model.transformer.wte.weight": torch.arange(6.0).reshape(2, 3),
    "model.transformer.bias": torch.ones(2),
}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(state: dict[str, Any]) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch tells that this is a single process
            checkpoint.save(state, checkpoint_id=tmp_path / "dcp")
        return tmp_path / "dcp"

    return write


def read(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize(
    "state",
    [
        dict(WEIGHTS),
        {"model": dict(WEIGHTS), "optimizer": {"exp_avg": torch.ones(3)}, "step": 7},
        {"module." + name: tensor for name, tensor in WEIGHTS.items()},
        {name.replace("model.", "model._orig_mod.", 1): tensor for name, tensor in WEIGHTS.items()},
    ],
    ids=["bare", "with an optimizer", "wrapped", "compiled"],
)
def test_the_model_is_found_in_what_trainers_save(
    save: Callable[..., Path], folder: Path, state: dict[str, Any]
) -> None:
    save_file(WEIGHTS, folder / "model.safetensors")  # tells the names
    with as_hf_folder(save(state), folder) as made:
        found = read(made)
        assert set(found) == set(WEIGHTS)
        assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


def test_a_base_without_weights_is_enough(save: Callable[..., Path], folder: Path) -> None:
    with as_hf_folder(save({"model": dict(WEIGHTS), "optim": {"state": torch.ones(1)}}), folder) as made:
        assert set(read(made)) == set(WEIGHTS)


def test_large_models_are_written_in_shards(
    save: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_core.checkpoints.dcp._SHARD_BYTES", 24)
    with as_hf_folder(save(dict(WEIGHTS)), folder) as made:
        assert len(list(made.glob("*.safetensors"))) == 2
        assert set(read(made)) == set(WEIGHTS)


def test_the_model_is_loaded_and_the_temporary_folder_removed(
    save: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    save_file({"old": torch.ones(1)}, folder / "model.safetensors")
    algorithm = get_algorithm("pairs")
    (tmp_path / "scratch").mkdir()
    path = save(dict(WEIGHTS))
    model = algorithm.load_model_from_dcp(path, folder, temp_dir=tmp_path / "scratch")
    assert algorithm.model is model
    assert algorithm.tokenizer.chat_template
    assert model.loaded_from.parent == tmp_path / "scratch"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_folder_that_is_no_checkpoint_is_not_found(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelNotFound, match=r"is not a torch\.distributed checkpoint .* that dcp\.save wrote"
    ):
        get_algorithm("pairs").load_model_from_dcp(tmp_path, folder)


def test_truncated_weights_are_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    path = save(dict(WEIGHTS))
    for file in path.glob("*.distcp"):
        file.write_bytes(b"")
    with pytest.raises(ModelLoadError, match="its weights cannot be read"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)


def test_damaged_metadata_are_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    path = save(dict(WEIGHTS))
    (path / ".metadata").write_bytes(b"nonsense")
    with pytest.raises(ModelLoadError, match=r"its \.metadata cannot be read"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)


def test_a_checkpoint_without_tensors_is_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="it holds no tensors"):
        get_algorithm("pairs").load_model_from_dcp(save({"step": 7}), folder)
