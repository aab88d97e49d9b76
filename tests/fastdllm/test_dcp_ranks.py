"""Checkpoints that several ranks have written, read straight into a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from llada_core import LoadOptions, ModelLoadError, UsageError, get_algorithm, load_dcp
from llada_core.checkpoints import dcp_folder, dcp_metadata
from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.loading import Conversion
from llada_runtime import LLaDAModel
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.split import Split
from llada_runtime.testing import LLADA_CONFIG, write_llada
from tests.support.trainer import KINDS, ODD_CONFIG, train

pytestmark = pytest.mark.xdist_group("trainer")
IDS = torch.tensor([[1, 2, 3, 4, 5]])
Q = "model.transformer.blocks.0.q_proj.weight"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("trained"))


@pytest.fixture(autouse=True)
def no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a copy of the weights fails."""

    def made(*_: Any) -> None:
        raise AssertionError("a temporary folder was made")

    monkeypatch.setattr(dcp_folder, "_scratch", made)


def base_of(folder: Path, config: Mapping[str, Any] = LLADA_CONFIG, **how: Any) -> Path:
    folder.mkdir(exist_ok=True)
    write_llada(folder, **{**config, **how})
    return folder


def source(trained: Path, kind: str) -> DcpSource:
    return DcpSource(path=trained / kind, prefix="policy" if kind == "two_models" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_is_that_of_the_same_weights_in_safetensors(
    trained: Path, tmp_path: Path, kind: str
) -> None:
    base = base_of(tmp_path / "base", ODD_CONFIG if kind == "mixed" else LLADA_CONFIG)
    dtype = torch.bfloat16 if kind == "mixed" else torch.float32
    expected = LLaDAModel.from_pretrained(base, dtype=dtype)(IDS)
    (base / "model.safetensors").unlink()
    network = LLaDAModel.from_pretrained(base, dtype=dtype, dcp=source(trained, kind))
    assert torch.equal(network(IDS), expected)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "fsdp",
            r"21 tensors read, 'app\.model\.' taken off their names; left out, as not the model's: "
            r"app\.optimizer \(\d+ tensors, \d+ values\), step \(1 value\)",
        ),
        ("mixed", r"21 tensors read, 'policy\.' and '_orig_mod\.' taken off their names; left out: nothing"),
        (
            "replicated",
            r"21 tensors read, under the names that they have; left out, as not the model's: "
            r"epoch \(1 value\), rng \(1 tensor\)",
        ),
        (
            "two_models",
            r"21 tensors read, 'policy\.' taken off their names; left out, as not the model's: "
            r"ref \(21 tensors\)",
        ),
    ],
)
def test_what_was_stripped_and_left_out_is_said(trained: Path, tmp_path: Path, kind: str, said: str) -> None:
    base = base_of(tmp_path / "base", ODD_CONFIG if kind == "mixed" else LLADA_CONFIG)
    options = LoadOptions(device="cpu", dcp=source(trained, kind))
    algorithm = get_algorithm("basic")
    algorithm.load_checkpoint(base, options)
    assert algorithm.dcp is not None
    assert re.fullmatch(rf"{trained / kind}: {said}", algorithm.dcp.told)
    assert algorithm.model.dcp == algorithm.dcp


@pytest.mark.parametrize("how", [{"quantization": "int8"}, {"tensor_parallel": 2}, {"dtype": "bfloat16"}])
def test_it_is_quantised_split_and_cast_as_others_are(
    trained: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    base = base_of(tmp_path / "base")
    with load_dcp(trained / "fsdp", base, engine="fast-dllm", device="cpu", **how) as lm:
        assert lm.dcp is not None
        answer = lm.generate([1, 2, 3], algorithm="basic", gen_length=6).token_ids
        network = lm.model.network
        assert {name: str(getattr(network, name)).removeprefix("torch.") for name in how} == {
            name: str(value) for name, value in how.items()
        }
    whole = get_algorithm("basic")
    whole.load_model_from_hf(base, device="cpu", **{k: v for k, v in how.items() if k != "tensor_parallel"})
    assert answer == whole.generate_batch([[1, 2, 3]], gen_length=6)[0].token_ids


def test_metadata_are_read_once_for_a_network(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    once = dcp_metadata._read

    def counted(path: Path) -> Any:
        read.append(path)
        return once(path)

    monkeypatch.setattr(dcp_metadata, "_read", counted)
    base = base_of(tmp_path / "base")
    get_algorithm("basic").load_model_from_dcp(trained / "fsdp", base, device="cpu")
    Conversion(DcpSource(path=trained / "fsdp"), str(base), tmp_path / "out")
    assert read == [trained / "fsdp"] * 2


def test_a_rank_reads_its_piece_alone(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, out = base_of(tmp_path / "base"), Q.replace("q_proj", "attn_out")
    saved = load_file(base / "model.safetensors")
    monkeypatch.setattr(LLaDAModel, "pack", lambda self: self)
    for rank in range(2):
        ranks, mine = Ranks(Split(rank=rank, size=2), torch.device("cpu")), slice(8 * rank, 8 * rank + 8)
        tensors = LLaDAModel.from_pretrained(base, dcp=source(trained, "fsdp"), ranks=ranks).tensors()
        assert torch.equal(tensors[Q], saved[Q][mine])
        assert torch.equal(tensors[out], saved[out][:, mine])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"n_layers": 1},
            r"holds model\.transformer\.blocks\.1\.attn_norm\.weight, .* which this network",
        ),
        ({"n_layers": 3}, r"lacks model\.transformer\.blocks\.2\.attn_norm\.weight, .*; check that config"),
        ({"mlp_hidden_size": 30}, r"ff_proj\.weight is \[24, 16\], and config\.json makes it \[30, 16\]"),
    ],
)
def test_what_does_not_belong_together_is_told_before_a_network_has_memory(
    trained: Path, tmp_path: Path, changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(tmp_path / "base", **changes)
    devices: list[str] = []
    made = LLaDAModel.__init__

    def init(self: Any, *args: Any, device: torch.device, **how: Any) -> None:
        devices.append(device.type)
        made(self, *args, device=device, **how)

    monkeypatch.setattr(LLaDAModel, "__init__", init)
    with pytest.raises(ModelLoadError, match=said) as told:
        get_algorithm("basic").load_model_from_dcp(trained / "fsdp", base, device="cpu")
    assert set(devices) == {"meta"}
    assert told.value.path == str(trained / "fsdp")


def test_without_the_files_of_a_rank_it_is_refused_before_a_network_has_memory(
    trained: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained / "fsdp", copy)
    (copy / "__1_0.distcp").unlink()
    algorithm = get_algorithm("basic")
    said = r"its file __1_0\.distcp cannot be read \(No such file or directory\); copy the files of all ranks"
    with pytest.raises(ModelLoadError, match=said):
        algorithm.load_model_from_dcp(copy, base_of(tmp_path / "base"), device="cpu")
    assert algorithm.model is None


def test_of_two_models_the_prefix_is_asked_for(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"under 'policy\.' and 'ref\.'; .* \(--dcp-prefix 'policy\.'\)"):
        get_algorithm("basic").load_model_from_dcp(trained / "two_models", base_of(tmp_path / "base"))


def test_a_process_group_of_the_program_is_not_asked(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in which ranks of a trainer talk may load a model in one of them."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        monkeypatch.setattr(dist, "all_gather_object", None)
        monkeypatch.setattr(dist, "scatter_object_list", None)
        network = LLaDAModel.from_pretrained(base_of(tmp_path / "base"), dcp=source(trained, "fsdp"))
        assert network.dcp is not None
    finally:
        dist.destroy_process_group()
