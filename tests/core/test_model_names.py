"""What may name a model: a folder or a hub id, as text or a path; all else is told by name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llada_core
from llada_core import LladaError, ModelNotFound, UsageError, load_model
from llada_core.checkpoints.embedded import embedded_names
from llada_core.checkpoints.hub import read_config, resolve_model
from llada_core.checkpoints.places import local_folder, model_name
from llada_core.cli.program import run
from llada_core.registry.wheels import published

pytestmark = pytest.mark.usefixtures("world")


class Named(os.PathLike[Any]):
    def __init__(self, name: Any) -> None:
        self.name = name

    def __fspath__(self) -> Any:
        return self.name


NO_NAMES = [
    3,
    3.5,
    True,
    b"x",
    ["a"],
    {"a": 1},
    object(),
    Path,
    Named(b"x"),
    Named(3),
    "",
    " ",
    "\n",
    Named(""),
]
WAYS: dict[str, Callable[[Any], object]] = {
    "load_model": load_model,
    "detect": llada_core.detect,
    "detect_engine": llada_core.detect_engine,
    "load_model_from_hf": lambda model: llada_core.get_algorithm("pairs").load_model_from_hf(model),
    "load_model_from_dcp": lambda model: llada_core.get_algorithm("pairs").load_model_from_dcp("x", model),
    "resolve_model": resolve_model,
    "read_config": read_config,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", NO_NAMES, ids=lambda model: type(model).__name__)
def test_what_can_name_no_model_is_a_wrong_call_everywhere(way: str, model: Any) -> None:
    with pytest.raises(UsageError, match=r"give a folder.* or a hub id such as GSAI-ML/LLaDA-8B-Instruct"):
        WAYS[way](model)


@pytest.mark.parametrize("way", [name for name in WAYS if name != "load_model"])
def test_none_is_the_embedded_model_for_load_model_alone(way: str) -> None:
    with pytest.raises(UsageError, match="None names no model"):
        WAYS[way](None)


ABSENT = [
    "nowhere",
    "~nobody-here/x",
    "~/nowhere",
    "a\0b",
    "cut \ud83d",
    "a" * 5000,
    "x/" * 3000,
    "./owner/name",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ABSENT, ids=lambda name: ascii(name)[:20])
def test_what_is_not_there_is_not_found_everywhere(way: str, model: str) -> None:
    with pytest.raises(ModelNotFound, match="give an existing folder") as told:
        WAYS[way](model)
    assert told.value.path == model
    assert len(str(told.value)) < 500
    assert "\0" not in str(told.value)


@given(st.text())
def test_any_text_is_found_or_told(name: str) -> None:
    with contextlib.suppress(LladaError):
        found = local_folder(model_name(name))
        assert found is None or found.is_dir()


def test_a_path_may_be_any_path_like(folder: Path) -> None:
    for path in (str(folder), folder, Named(str(folder)), f"{folder}{os.sep}"):
        with load_model(path) as lm:
            assert lm.generate([1]).text == "Hi there."


def test_a_tilde_is_the_home_of_the_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    with load_model(f"~/{folder.name}") as lm:
        assert lm.model.path == f"~/{folder.name}"


def test_the_model_of_a_wheel_is_called_as_its_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder)
    with load_model("llada-tiny") as lm:
        assert (lm.model.path, lm.generate([1]).text) == ("llada-tiny", "Hi there.")
    assert llada_core.detect("llada-tiny").engine == "fake"
    assert resolve_model("llada-tiny") == folder


def test_a_folder_wins_over_the_wheel_of_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    folder.rename(folder.with_name("llada-tiny"))
    monkeypatch.setattr("llada_tiny.model_path", lambda: pytest.fail("there is a folder"))
    with load_model("llada-tiny") as lm:
        assert lm.generate([1]).text == "Hi there."


@pytest.mark.parametrize("name", embedded_names())
def test_a_wheel_with_a_model_that_is_not_installed_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    with pytest.raises(ModelNotFound, match=rf"the model {name} is not installed; pip install {name}$"):
        load_model(name)


@pytest.mark.parametrize("near", ["llada_tiny", "LLaDA-Tiny-Long", "llada-tini"])
def test_a_name_that_is_nearly_a_wheels_is_told_which(near: str) -> None:
    with pytest.raises(ModelNotFound, match=r"; did you mean llada-tiny(-long)?\? Else give an existing"):
        load_model(near)


def test_the_model_of_a_wheel_has_no_revisions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder)
    with pytest.raises(
        UsageError, match=r"revision='v2' is of a hub id, and llada-tiny is a model of a wheel"
    ):
        load_model("llada-tiny", revision="v2")


def test_every_wheel_with_a_model_is_one_of_ours() -> None:
    assert set(embedded_names()) < published().distributions


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_file_of_a_checkpoint_names_its_folder(folder: Path, file: str) -> None:
    with pytest.raises(ModelNotFound, match=rf"{file} is a file; give its folder, {folder}$"):
        load_model(folder / file)


def test_another_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    with pytest.raises(ModelNotFound, match=r"notes is a file; give the folder that holds config\.json"):
        load_model(tmp_path / "notes")


@pytest.mark.parametrize(
    "page",
    [
        "https://huggingface.co/owner/name",
        "http://www.huggingface.co/owner/name/tree/main",
        "hf.co/owner/name?x=1",
    ],
)
def test_a_page_of_the_hub_names_its_id(page: str) -> None:
    with pytest.raises(ModelNotFound, match=r"there is no folder .*; give the hub id owner/name$"):
        load_model(page)


@pytest.mark.parametrize("way", ["load_model", "detect", "load_model_from_hf"])
def test_a_folder_has_no_revisions(folder: Path, way: str) -> None:
    call: Any = {**WAYS, "load_model_from_hf": llada_core.get_algorithm("pairs").load_model_from_hf}[way]
    with pytest.raises(
        UsageError, match=r"revision='v2' is of a hub id, and .* is a folder; leave revision out"
    ):
        call(folder, revision="v2")


@pytest.mark.parametrize("command", [("generate", "Hello"), ("chat",)])
def test_the_program_refuses_an_empty_name_and_the_revision_of_a_folder(
    command: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--model", ""]) == 2
    assert "error: the name of the model is empty; give a folder" in capsys.readouterr().err
    assert run([*command, "--model", str(folder), "--revision", "v2"]) == 2
    assert "error: revision='v2' is of a hub id" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("detect", ""), ("doctor", "--model", "")])
def test_so_does_every_command_that_takes_a_model(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    assert "error: the name of the model is empty; give a folder" in capsys.readouterr().err


# -- folders that hold something else


def _files(*names: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")

    return write


def _adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (_files(), "give the folder of a checkpoint in the Hugging Face layout"),
        (_files(".metadata"), r"load it with load_dcp\('.*', BASE\), or by --dcp .* --base BASE"),
        (_adapter, "it holds an adapter of owner/base and no model; merge the two"),
        (_files("adapter_model.safetensors"), "an adapter of a base model"),
        (_files("checkpoint-5/config.json"), "it holds .*checkpoint-5; give that folder"),
        (
            _files("training_args.bin", "optimizer.pt", "last/config.json"),
            "it holds .*last; give that folder",
        ),
        (_files("step-5/.metadata"), "it holds .*step-5; give that folder"),
        (_files("snapshots/ab12/config.json", "refs/main"), "it holds .*snapshots/ab12; give that folder"),
        (_files("params.json", "consolidated.00.pth"), "give the checkpoint in the Hugging Face layout"),
        (_files("model.Q4_K_M.gguf"), "weights of llama.cpp"),
        (_files("model_index.json", "unet/config.json"), "a model of another library"),
    ],
)
def test_a_folder_without_config_is_told_what_it_holds(
    tmp_path: Path, fill: Callable[[Path], None], said: str
) -> None:
    (tmp_path / "model").mkdir()
    fill(tmp_path / "model")
    with pytest.raises(ModelNotFound, match=f"holds no config.json; .*{said}"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("fields", ["[]", "{", '"x"', "3"])
def test_an_adapter_whose_config_is_damaged_is_an_adapter(tmp_path: Path, fields: str) -> None:
    (tmp_path / "adapter_config.json").write_text(fields)
    with pytest.raises(ModelNotFound, match="it holds an adapter of a base model"):
        load_model(tmp_path)
