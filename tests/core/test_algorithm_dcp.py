"""Loading the weights of a ``torch.distributed.checkpoint`` folder."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributed import checkpoint

from llada_core import ModelLoadError, ModelNotFound, UsageError, get_algorithm, load_model
from llada_core.checkpoints import dcp_metadata
from llada_core.checkpoints.dcp import DcpTensors
from llada_core.checkpoints.dcp_folder import DcpFolder, as_hf_folder
from llada_core.checkpoints.dcp_source import DcpSource

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
    with as_hf_folder(DcpSource(path=save(state)), folder) as (made, _):
        found = read(made)
        assert set(found) == set(WEIGHTS)
        assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


def test_names_of_the_network_tell_where_the_model_is(save: Callable[..., Path], folder: Path) -> None:
    state = {"app": {"model": dict(WEIGHTS)}, "step": 7, "scheduler": {"rate": torch.ones(1)}}
    with as_hf_folder(DcpSource(path=save(state)), folder, names=WEIGHTS.keys()) as (made, _):
        assert set(read(made)) == set(WEIGHTS)


def test_of_several_models_one_is_named_by_its_prefix(save: Callable[..., Path], folder: Path) -> None:
    path = save({"policy": dict(WEIGHTS), "ref": {name: -tensor for name, tensor in WEIGHTS.items()}})
    with (
        pytest.raises(
            UsageError, match=r"several times, under 'policy\.' and 'ref\.'; give the prefix of the one"
        ),
        as_hf_folder(DcpSource(path=path), folder, names=WEIGHTS.keys()),
    ):
        pass
    for prefix, sign in (("policy", 1), ("policy.", 1), ("ref.", -1)):
        source = DcpSource(path=path, prefix=prefix)
        with as_hf_folder(source, folder, names=WEIGHTS.keys()) as (made, _):
            assert all(torch.equal(tensor, sign * WEIGHTS[name]) for name, tensor in read(made).items())


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (
            None,
            r"none of its tensors \(a\.b\) is one of the model's \(model\.transformer\.bias, .*\); give",
        ),
        ("x", r"is one of the model's .* behind the prefix 'x'; give the base model"),
    ],
)
def test_a_checkpoint_of_another_model_is_told_with_names_of_both(
    save: Callable[..., Path], folder: Path, prefix: str | None, said: str
) -> None:
    source = DcpSource(path=save({"a": {"b": torch.ones(1)}}), prefix=prefix)
    made = as_hf_folder(source, folder, names=WEIGHTS.keys())
    with pytest.raises(ModelLoadError, match=said), made:
        pass


@pytest.mark.parametrize("prefix", [3, b"policy.", ["policy."]])
def test_a_prefix_is_text(save: Callable[..., Path], folder: Path, prefix: Any) -> None:
    with pytest.raises(UsageError, match=r"is no prefix of names; give a string such as 'policy.'"):
        get_algorithm("pairs").load_model_from_dcp(save(dict(WEIGHTS)), folder, prefix=prefix)


def test_a_base_without_weights_is_enough(save: Callable[..., Path], folder: Path) -> None:
    source = DcpSource(path=save({"model": dict(WEIGHTS), "optim": {"state": torch.ones(1)}}))
    with as_hf_folder(source, folder) as (made, _):
        assert set(read(made)) == set(WEIGHTS)


@pytest.mark.parametrize(("shard_bytes", "count"), [(24, 2), (1, 2), (32, 1)])
def test_large_models_are_written_in_shards(
    save: Callable[..., Path], folder: Path, tmp_path: Path, shard_bytes: int, count: int
) -> None:
    tensors = DcpTensors(DcpSource(path=save(dict(WEIGHTS))))
    made = DcpFolder(tensors, tensors.find(WEIGHTS.keys()), folder, shard_bytes=shard_bytes)
    assert (len(made.files), made.size) == (count, 32)
    (tmp_path / "out").mkdir()
    made.write(tmp_path / "out")
    assert set(read(tmp_path / "out")) == set(WEIGHTS)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")) == sorted(made.files)
    assert (tmp_path / "out" / "model.safetensors.index.json").is_file() is (count > 1)


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
    load = get_algorithm("pairs").load_model_from_dcp
    (tmp_path / "nothing").mkdir()
    for path, said in (
        (tmp_path / "nothing", r"is not a torch\.distributed checkpoint .* that dcp\.save wrote"),
        (folder, "it is in the Hugging Face layout; load it with load_model_from_hf"),
        (tmp_path / "nowhere", "there is no folder .*nowhere"),
        ("a\0b", "there is no folder"),
    ):
        with pytest.raises(ModelNotFound, match=said):
            load(path, folder)


def test_the_folder_above_and_a_file_inside_name_it(save: Callable[..., Path], folder: Path) -> None:
    path, load = save(dict(WEIGHTS)), get_algorithm("pairs").load_model_from_dcp
    with pytest.raises(ModelNotFound, match=f"it holds {path}; give that folder"):
        load(path.parent, folder)
    with pytest.raises(ModelNotFound, match=f"is a file; give its folder, {path}"):
        load(path / ".metadata", folder)


@pytest.mark.parametrize("way", [load_model, lambda path: get_algorithm("pairs").load_model_from_hf(path)])
def test_given_as_a_model_it_says_how_to_load_it(
    save: Callable[..., Path], way: Callable[[Path], Any]
) -> None:
    path = save(dict(WEIGHTS))
    with pytest.raises(
        ModelNotFound, match=rf"load_dcp\('{path}', BASE\), .*, where BASE is the folder, hub id or wheel"
    ):
        way(path)


@pytest.mark.parametrize("temp_dir", ["/nowhere", 3, "a\0b"])
def test_a_temp_dir_that_takes_no_folder_is_a_wrong_call(
    save: Callable[..., Path], folder: Path, temp_dir: Any
) -> None:
    with pytest.raises(UsageError, match=r"temp_dir=.* takes no folder .*; give one that can be written"):
        get_algorithm("pairs").load_model_from_dcp(save(dict(WEIGHTS)), folder, temp_dir=temp_dir)


def test_a_full_disk_says_where_there_is_no_room(
    save: Callable[..., Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llada_core.checkpoints.dcp_folder.save_file", full)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(
        ModelLoadError, match=r"cannot be copied to .*scratch .*No space left .*; give a temp_dir"
    ):
        get_algorithm("pairs").load_model_from_dcp(save(dict(WEIGHTS)), folder, temp_dir=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_an_error_of_a_file_of_the_base_names_that_file(
    save: Callable[..., Path], folder: Path, tmp_path: Path, file: str
) -> None:
    (folder / file).write_text("{")
    (tmp_path / "scratch").mkdir()
    path = save(dict(WEIGHTS))
    with pytest.raises(ModelLoadError) as told:
        get_algorithm("pairs").load_model_from_dcp(path, folder, temp_dir=tmp_path / "scratch")
    assert f"{folder / file} is no JSON" in str(told.value)
    assert "scratch" not in str(told.value) + told.value.reason + told.value.path
    assert told.value.path == str(path)


def test_an_error_of_the_loader_names_the_checkpoint(
    save: Callable[..., Path], make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    path, base = save(dict(WEIGHTS)), make_folder(damaged=True)
    with pytest.raises(ModelLoadError) as told:
        get_algorithm("pairs").load_model_from_dcp(path, base)
    assert (
        str(told.value)
        == f"{path} cannot be loaded: tensor wte.weight is missing; download the weights again"
    )


def test_truncated_weights_are_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    path = save(dict(WEIGHTS))
    for file in path.glob("*.distcp"):
        file.write_bytes(b"")
    with pytest.raises(ModelLoadError, match=r"its file .*\.distcp has 0 of \d+ bytes; copy it again"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)


def test_damaged_metadata_are_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    path = save(dict(WEIGHTS))
    (path / ".metadata").write_bytes(b"nonsense")
    with pytest.raises(ModelLoadError, match=r"its \.metadata cannot be read"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)


class Harmful:
    """Makes a file when it is unpickled whole."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("where", ["all", "planner_data", "a dtype"])
def test_metadata_that_would_run_code_are_refused_and_run_none(
    save: Callable[..., Path], folder: Path, tmp_path: Path, where: str
) -> None:
    path, made = save(dict(WEIGHTS)), tmp_path / "made"
    metadata: Any = checkpoint.FileSystemReader(path).read_metadata()
    if where == "all":
        metadata = Harmful(made)
    elif where == "planner_data":
        metadata.planner_data["x"] = Harmful(made)
    else:
        metadata.state_dict_metadata["model.transformer.bias"].properties.dtype = Harmful(made)
    (path / ".metadata").write_bytes(pickle.dumps(metadata))
    said = r"its \.metadata names (posix|nt)\.mkdir, .* nothing of it is run; .* save the model again by dcp"
    with pytest.raises(ModelLoadError, match=said) as told:
        get_algorithm("pairs").load_model_from_dcp(path, folder)
    assert told.value.path == str(path)
    assert not made.exists()
    pickle.loads((path / ".metadata").read_bytes())
    assert made.exists()  # it would have run


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\ngetattr\n(ctorch\nSize\nS'__class__'\ntR.",
        b"ctorch\nload\n.",
        b"ctorch.distributed.checkpoint.metadata\nos.system\n.",
        b"\x80\x04\x8c\x25torch.distributed.checkpoint.metadata\x8c\x09os.system\x93.",
    ],
)
def test_no_attribute_of_what_is_known_leads_elsewhere(
    save: Callable[..., Path], folder: Path, program: bytes
) -> None:
    path = save(dict(WEIGHTS))
    (path / ".metadata").write_bytes(program)
    with pytest.raises(ModelLoadError, match=r"which could run code|is no enumeration"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)


def test_metadata_are_read_once_in_a_load(
    save: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    once = dcp_metadata._read

    def counted(path: Path) -> Any:
        read.append(path)
        return once(path)

    monkeypatch.setattr(dcp_metadata, "_read", counted)
    path = save(dict(WEIGHTS))
    for count in (1, 2):
        get_algorithm("pairs").load_model_from_dcp(path, folder)
        assert read == [path] * count


def test_a_file_outside_of_the_folder_is_not_read(save: Callable[..., Path], tmp_path: Path) -> None:
    path = save(dict(WEIGHTS))
    (file,) = path.glob("*.distcp")
    file.rename(tmp_path / file.name)

    def move(metadata: Any) -> None:
        for place in metadata.storage_data.values():
            place.relative_path = f"../{file.name}"

    tensors = DcpTensors(DcpSource(path=rewritten(path, move)))
    with pytest.raises(ModelLoadError, match=rf"are to be in \.\./{file.name}, outside of it; save it again"):
        tensors.find(WEIGHTS.keys())


class _RunsCode:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_numbers_that_name_code_are_refused_by_that_name_without_advice_to_run_it(
    save: Callable[..., Path],
) -> None:
    path, written = save(dict(WEIGHTS)), io.BytesIO()
    torch.save({"weights": _RunsCode()}, written)
    (file,) = path.glob("*.distcp")
    file.write_bytes(written.getvalue())

    def move(metadata: Any) -> None:
        for place in metadata.storage_data.values():
            place.offset, place.length = 0, len(written.getvalue())

    tensors = DcpTensors(DcpSource(path=rewritten(path, move)))
    with pytest.raises(
        ModelLoadError, match=rf"they name {os.name}\.system, .*nothing of it is run"
    ) as caught:
        tensors.read(next(iter(WEIGHTS)))
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["x", "of/nobody", "plain.pt"])
def test_a_name_that_is_no_folder_of_a_trainer_is_answered_in_its_terms(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.pt").write_bytes(b"")
    with pytest.raises(ModelNotFound, match=r"give the folder that dcp\.save wrote") as caught:
        DcpTensors(DcpSource(path=name))
    assert "hub" not in str(caught.value)
    assert "config.json" not in str(caught.value)


def test_a_checkpoint_without_tensors_is_a_load_error(save: Callable[..., Path], folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="it holds no tensors"):
        get_algorithm("pairs").load_model_from_dcp(save({"step": 7}), folder)


def rewritten(path: Path, change: Callable[[Any], None]) -> Path:
    """The checkpoint with its metadata changed."""
    metadata = checkpoint.FileSystemReader(path).read_metadata()
    change(metadata)
    (path / ".metadata").write_bytes(pickle.dumps(metadata))
    return path


def test_a_tensor_of_which_a_part_is_missing_is_refused(save: Callable[..., Path]) -> None:
    """As a rank leaves it that did not take part: torch would read what happens to be in memory."""

    def halve(metadata: Any) -> None:
        (chunk,) = metadata.state_dict_metadata["model.transformer.wte.weight"].chunks
        chunk.sizes = torch.Size([1, 3])

    tensors = DcpTensors(DcpSource(path=rewritten(save(dict(WEIGHTS)), halve)))
    said = r"it holds 3 of the 6 numbers of model\.transformer\.wte\.weight; save it again, with all ranks"
    with pytest.raises(ModelLoadError, match=said):
        tensors.find(WEIGHTS.keys())


def test_a_tensor_that_two_names_stand_for_is_refused(save: Callable[..., Path]) -> None:
    name = "model.transformer.bias"
    state = {**WEIGHTS, f"_orig_mod.{name}": torch.zeros(2)}
    said = rf"it holds {name} several times, as _orig_mod\.{name}, {name}; save the model once"
    with pytest.raises(ModelLoadError, match=said):
        DcpTensors(DcpSource(path=save(state))).find(WEIGHTS.keys())


def test_an_interrupt_while_weights_are_read_is_one(
    save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = DcpTensors(DcpSource(path=save(dict(WEIGHTS))))

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tensors.read("model.transformer.bias")


def test_a_torch_without_distributed_is_told(
    save: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(dict(WEIGHTS))
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    with pytest.raises(UsageError, match="this torch was built without; install another build of torch"):
        get_algorithm("pairs").load_model_from_dcp(path, folder)
