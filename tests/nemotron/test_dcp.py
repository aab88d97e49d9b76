"""What trainers save of a Nemotron model, by any prefix, with a base folder that has no weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import checkpoint

import llada_core
from llada_core import CheckpointError, DcpSource, LladaError, ModelLoadError
from llada_nemotron import NemotronModel
from tests.nemotron.tiny_models import Variant, write_model

PROMPT = torch.tensor([[5, 6, 7]])


def save(state: dict[str, Any], folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save(state, checkpoint_id=folder)
    return folder


def nested(prefix: str, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    state: dict[str, Any] = dict(weights)
    for part in reversed(prefix.split(".") if prefix else []):
        state = {part: state}
    return state


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_model(tmp_path / "base", "gen1")


@pytest.mark.parametrize("variant", ["gen1", "labs"])
@pytest.mark.parametrize("prefix", ["", "model", "app.model", "policy._orig_mod", "module.model_state_dict"])
def test_the_names_of_the_network_tell_where_the_model_is(
    tmp_path: Path, variant: Variant, prefix: str
) -> None:
    base = write_model(tmp_path / "base", variant)
    expected, _ = answer_of(llada_core.get_algorithm("nemotron_block"), base)
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    surplus = {"step": 7, "optimizer": {"state": {name: {"exp_avg": weights[name]} for name in weights}}}
    path = save(
        {**nested(prefix, weights), **surplus, "dataloader": {"rng": torch.ones(3)}}, tmp_path / "dcp"
    )
    algorithm = llada_core.get_algorithm("nemotron_block")
    model = algorithm.load_model_from_dcp(path, base, device="cpu")
    found, _ = algorithm.generate(model, PROMPT, gen_length=16)
    assert torch.equal(found, expected)


def answer_of(algorithm: Any, folder: Path) -> tuple[torch.Tensor, int]:
    made: tuple[torch.Tensor, int] = algorithm.generate(
        algorithm.load_model_from_hf(folder, device="cpu"), PROMPT, gen_length=16
    )
    return made


def test_what_is_missing_is_named_with_the_callers_folder(base: Path, tmp_path: Path) -> None:
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    del weights["diffusion_head.weight"]
    path = save({"model": weights}, tmp_path / "dcp")
    with pytest.raises(ModelLoadError) as told:
        llada_core.get_algorithm("nemotron_block").load_model_from_dcp(path, base, device="cpu")
    assert f"the checkpoint in {path} lacks diffusion_head.weight; check that config.json" in str(told.value)


@pytest.mark.parametrize("trust", [False, True])
def test_the_models_own_code_loads_it_too(base: Path, tmp_path: Path, trust: bool) -> None:
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    path = save({"model": weights, "step": torch.ones(())}, tmp_path / "dcp")
    algorithm = llada_core.get_algorithm("nemotron" if trust else "nemotron_block")
    model = algorithm.load_model_from_dcp(path, base, device="cpu", trust_remote_code=trust)
    assert (model.native_reason is None) is trust


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"quantization": "int8"}, "quantization 'int8' is for our own network"),
        ({"tensor_parallel": 2}, "tensor_parallel=2 splits our own network"),
    ],
)
def test_what_its_own_code_cannot_do_is_refused_before_weights_are_copied(
    base: Path, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    path = save({"model": load_file(base / "model.safetensors")}, tmp_path / "dcp")
    algorithm = llada_core.get_algorithm("nemotron")
    with pytest.raises(LladaError, match=said):  # there is no such temp_dir: a copy would say so
        algorithm.load_model_from_dcp(path, base, trust_remote_code=True, temp_dir=tmp_path / "no", **how)


@pytest.mark.parametrize(
    "how",
    [
        {"quantization": "int8"},
        pytest.param({"tensor_parallel": 2}, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
        {},
    ],
)
def test_our_own_network_is_read_straight_from_it(base: Path, tmp_path: Path, how: dict[str, Any]) -> None:
    path = save({"model": load_file(base / "model.safetensors")}, tmp_path / "dcp")
    (base / "model.safetensors").unlink()
    with llada_core.load_dcp(path, base, device="cpu", temp_dir=tmp_path / "no", **how) as lm:
        assert lm.dcp is not None
        assert len(lm.generate([5, 6, 7], algorithm="nemotron_block", gen_length=4).token_ids) == 4
    with pytest.raises(CheckpointError, match="convert them, or leave trust_remote_code out"):
        NemotronModel.from_pretrained(base, trust_remote_code=True, dcp=DcpSource(path=path))


@pytest.mark.parametrize("auto_class", ["AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM"])
def test_the_models_own_class_may_have_any_auto_class(tmp_path: Path, auto_class: str) -> None:
    own = {
        "AutoConfig": "configuration_nvrdiff.NVRDiffConfig",
        auto_class: "modeling_nvrdiff.DiffEncoderModel",
    }
    folder = write_model(tmp_path, "gen1", auto_map=own)
    with llada_core.load_model(folder, device="cpu", trust_remote_code=True) as lm:
        assert lm.algorithms()["nemotron"] is None
