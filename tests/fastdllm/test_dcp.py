"""LLaDA checkpoints of trainers: found by the network's names in whatever was saved around them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import checkpoint

from llada_core import LladaError, ModelLoadError, UsageError, get_algorithm
from llada_runtime.testing import LLADA_CONFIG, llada_weights, write_llada

PROMPT = torch.tensor([[1, 2, 3]])
HEAD, EMBEDDING = "model.transformer.ff_out.weight", "model.transformer.wte.weight"
Q = "model.transformer.blocks.0.q_proj.weight"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a config and no weights."""
    (tmp_path / "base").mkdir()
    return without_weights(write_llada(tmp_path / "base"))


def without_weights(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder


def save(state: Mapping[str, Any], folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save(dict(state), checkpoint_id=folder)
    return folder


def answer(folder: Path, base: Path, **how: Any) -> list[int]:
    algorithm = get_algorithm("basic")
    model = algorithm.load_model_from_dcp(folder, base, device="cpu", **how)
    ids, _ = algorithm.generate(model, PROMPT, gen_length=6)
    return list(map(int, ids[0]))


def expected(folder: Path) -> list[int]:
    algorithm = get_algorithm("basic")
    ids, _ = algorithm.generate(algorithm.load_model_from_hf(folder, device="cpu"), PROMPT, gen_length=6)
    return list(map(int, ids[0]))


def training_state(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What trainers keep beside the model."""
    moments = {name: {"exp_avg": tensor, "step": torch.ones(())} for name, tensor in weights.items()}
    return {
        "optimizer": {"state": moments, "exp_avg": dict(weights)},
        "scheduler": {"last_epoch": 3, "rates": torch.ones(2)},
        "dataloader": {"rng": torch.ones(4)},
        "step": 7,
    }


def around(prefix: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = dict(weights)
    for part in reversed(prefix.split(".") if prefix else []):
        state = {part: state}
    return state


PREFIXES = [
    "",
    "model",
    "app.model",
    "module",
    "policy",
    "model_state_dict",
    "state_dict.module",
    "a.b.c._orig_mod",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("lacking", ["", "model.", "model.transformer."])
def test_the_model_is_found_behind_any_prefix(base: Path, tmp_path: Path, prefix: str, lacking: str) -> None:
    weights = llada_weights()
    (tmp_path / "whole").mkdir()
    named = {name.removeprefix(lacking): tensor for name, tensor in weights.items()}
    path = save({**around(prefix, named), **training_state(weights)}, tmp_path / "dcp")
    assert answer(path, base) == expected(write_llada(tmp_path / "whole"))


@pytest.mark.parametrize(
    "kept", [(EMBEDDING,), (HEAD,), (EMBEDDING, HEAD)], ids=["embedding", "head", "both"]
)
def test_a_tied_weight_may_be_saved_under_one_name_or_both(tmp_path: Path, kept: tuple[str, ...]) -> None:
    (tmp_path / "tied").mkdir()
    folder = write_llada(tmp_path / "tied", weight_tying=True)
    whole = expected(folder)
    weights = llada_weights({**LLADA_CONFIG, "weight_tying": True})
    matrix = weights.pop(EMBEDDING)
    path = save({"policy": {**weights, **{name: matrix.clone() for name in kept}}}, tmp_path / "dcp")
    assert answer(path, without_weights(folder)) == whole


def test_of_two_models_the_one_with_the_prefix_is_loaded(base: Path, tmp_path: Path) -> None:
    policy, reference = llada_weights(), llada_weights(seed=1)
    path = save({"policy": policy, "ref": reference}, tmp_path / "dcp")
    with pytest.raises(
        UsageError, match=r"holds the model several times, under 'policy\.' and 'ref\.'; give the"
    ):
        answer(path, base)
    for seed, prefix in ((0, "policy"), (1, "ref.")):
        (tmp_path / prefix).mkdir()
        assert answer(path, base, prefix=prefix) == expected(write_llada(tmp_path / prefix, seed=seed))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {Q: ...},
            rf"the checkpoint in DCP lacks {Q}; check that config.json and the weights belong together",
        ),
        ({Q: torch.ones(3, 3)}, rf"DCP: {Q} is \[3, 3\], and config.json makes it \[16, 16\]"),
        (
            {Q: torch.ones(16, 16, dtype=torch.int8)},
            rf"DCP: {Q} is stored as int8, .*; take the checkpoint that",
        ),
        (
            {Q.replace("weight", "bias"): torch.ones(16)},
            r"the checkpoint in DCP holds model.transformer.blocks.0.q_proj.bias, which this network has no",
        ),
    ],
)
def test_what_is_wrong_is_told_of_the_callers_folder(
    base: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    weights = {name: tensor for name, tensor in {**llada_weights(), **changes}.items() if tensor is not ...}
    path = save({"app": {"model": weights}}, tmp_path / "dcp")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ModelLoadError, match=said.replace("DCP", str(path))) as told:
        answer(path, base, temp_dir=tmp_path / "scratch")
    assert "scratch" not in str(told.value)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_head_of_rewards_is_not_the_models(base: Path, tmp_path: Path) -> None:
    path = save({"policy": {**llada_weights(), "v_head.weight": torch.ones(3)}}, tmp_path / "dcp")
    (tmp_path / "whole").mkdir()
    assert answer(path, base) == expected(write_llada(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "with trust_remote_code=True the algorithm 'basic' can run it"),
        ({"trust_remote_code": True, "quantization": "int8"}, "quantization 'int8' is for networks of ours"),
        (
            {"trust_remote_code": True, "tensor_parallel": 2},
            "tensor_parallel=2 splits networks of the run",
        ),
    ],
)
def test_a_model_of_its_own_code_is_refused_what_that_cannot_before_weights_are_copied(
    base: Path, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    config = base / "config.json"
    config.write_text(config.read_text().replace('"rope": true', '"rope": false'))
    path = save(llada_weights(), tmp_path / "dcp")
    with pytest.raises(LladaError, match=said):  # there is no such temp_dir: a copy would say so
        answer(path, base, temp_dir=tmp_path / "nowhere", **how)


def test_a_config_that_is_wrong_is_told_of_the_base(base: Path, tmp_path: Path) -> None:
    config = base / "config.json"
    config.write_text(config.read_text().replace('"n_layers": 2', '"n_layers": "two"'))
    path = save(llada_weights(), tmp_path / "dcp")
    with pytest.raises(
        ModelLoadError, match=f"{base} cannot be loaded: config.json: n_layers = 'two' is not a pos"
    ):
        answer(path, base)
