"""Hub ids: what is told when the hub cannot give what was asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from llada_core import CheckpointError, ModelNotFound
from llada_core.checkpoints import read_fields
from llada_core.checkpoints.hub import read_config, resolve_model


class GatedRepoError(Exception):
    pass


class RevisionNotFoundError(Exception):
    pass


class RepositoryNotFoundError(Exception):
    pass


class LocalEntryNotFoundError(Exception):
    pass


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (GatedRepoError(), "owner/name at revision v2 is gated; accept its terms .* set HF_TOKEN"),
        (RevisionNotFoundError(), "owner/name has no revision v2; name one of its branches"),
        (RepositoryNotFoundError(), "neither a folder nor on the hub; check the spelling, or set HF_TOKEN"),
        (LocalEntryNotFoundError(), "the hub cannot be reached; give an existing folder, or check"),
        (RuntimeError("odd"), r"could not be fetched from the hub \(RuntimeError: odd\)"),
    ],
)
def test_each_refusal_of_the_hub_has_its_remedy(
    monkeypatch: pytest.MonkeyPatch, met: Exception, said: str
) -> None:
    def snapshot_download(*_: Any, **__: Any) -> str:
        raise met

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelNotFound, match=said) as caught:
        resolve_model("owner/name", revision="v2")
    assert caught.value.__cause__ is met
    assert caught.value.path == "owner/name"


def test_without_the_hub_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelNotFound, match="pip install huggingface_hub, or give an existing folder"):
        read_config("owner/name")


def test_a_folder_wins_over_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "config.json").write_text('{"model_type": "llada"}')
    monkeypatch.chdir(tmp_path)
    assert resolve_model("owner/name") == Path("owner/name")
    config = read_config("owner/name")
    assert (config.path, config.fields) == ("owner/name", {"model_type": "llada"})


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "be read as JSON"), ("[]", "not hold a JSON object"), (None, r"holds no config\.json")],
)
def test_a_bad_config_is_not_found(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelNotFound, match=said) as caught:
        read_config(tmp_path)
    assert caught.value.path == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"config\.json cannot be read as JSON .*; download it again"),
        ("[1]", r"config\.json does not hold a JSON object; download it again"),
        ("[" * 100_000, r"cannot be read as JSON"),
        (None, r"config\.json does not exist; point at a folder that holds a checkpoint"),
    ],
    ids=["broken", "list", "deep", "absent"],
)
def test_an_engine_reads_the_same_file_and_gets_its_own_error(
    tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=said):
        read_fields(tmp_path)


def test_the_fields_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llada", "n": [1]}')
    assert read_fields(str(tmp_path)) == {"model_type": "llada", "n": [1]}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(ModelNotFound, match=r"is a file; give the folder that holds config\.json"):
        resolve_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["nothing", "./owner/name", "a b/c"])
def test_what_cannot_be_a_hub_id_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(ModelNotFound, match=r"there is no folder .* or a hub id such as"):
        resolve_model(name)
