"""The network split between ranks, and filled from what trainers save; biases included."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import checkpoint

import llada_core
from llada_core import UsageError
from tests.dream.dream_data import GOLDENS, decode, model_of, row_of
from tests.dream.tiny import write_model
from tests.support.ranks import on_ranks

NETWORK = "llada_dream.network:DreamNetwork"
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("dream", {"alg": "entropy", "steps": 6}),
    ("dream_threshold", {}),
    ("dream_prefix_cache", {"block_length": 4}),
    ("dream_dual_cache", {"block_length": 8, "alg": "entropy", "steps": 4}),
]


def rows(model: Any) -> list[Any]:
    source = random.Random(3)
    prompts = [[source.randrange(10, 40) for _ in range(source.randint(1, 30))] for _ in ASKED]
    return [
        row_of(model, name, ids, gen_length=16, **given)
        for ids, (name, given) in zip(prompts, ASKED, strict=True)
    ]


def test_answers_on_two_ranks_are_those_of_one_device() -> None:
    whole = model_of("dream-64")
    with on_ranks(GOLDENS / "models" / "dream-64", target=NETWORK) as (split, _):
        assert decode(split, *rows(split)) == decode(whole, *rows(whole))
        assert llada_core.get_algorithm("dream").unfit_reason(split) is None


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_loaded_model_is_split_and_its_processes_end_with_it() -> None:
    folder, given = GOLDENS / "models" / "dream-64", {"gen_length": 12, "algorithm": "dream_dual_cache"}
    with llada_core.load_model(folder, device="cpu") as lm:
        expected = lm.generate([12, 13, 14], **given)
    with llada_core.load_model(folder, device="cpu", tensor_parallel=2) as lm:
        found = lm.generate([12, 13, 14], **given)
        assert (found.token_ids, found.nfe) == (expected.token_ids, expected.nfe)
        (other,) = lm.model.network._crew._processes
    assert other.poll() == 0


def test_a_split_that_does_not_divide_the_model_is_refused() -> None:
    with pytest.raises(UsageError, match="tensor_parallel=3 does not divide the model's 4 heads"):
        llada_core.load_model(GOLDENS / "models" / "dream-64", device="cpu", tensor_parallel=3)


@pytest.mark.parametrize("kind", ["int8"])
def test_weights_in_eight_bits_decode(tmp_path: Path, kind: str) -> None:
    with llada_core.load_model(write_model(tmp_path), device="cpu", quantization=kind) as lm:
        assert lm.model.network.quantization == kind
        assert lm.generate([5, 6], gen_length=4, early_stop=False).nfe == 4


@pytest.mark.parametrize("prefix", ["", "policy"])
def test_a_trainers_weights_are_read_by_the_names_of_the_network(tmp_path: Path, prefix: str) -> None:
    base = write_model(tmp_path / "base")
    algorithm = llada_core.get_algorithm("dream_dual_cache")
    expected = algorithm.generate(algorithm.load_model_from_hf(base, device="cpu"), [[5, 6]], gen_length=8)
    weights: dict[str, Any] = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        state = {prefix: weights} if prefix else weights
        checkpoint.save({**state, "step": torch.tensor(7)}, checkpoint_id=tmp_path / "dcp")
    model = algorithm.load_model_from_dcp(tmp_path / "dcp", base, device="cpu")
    found = algorithm.generate(model, [[5, 6]], gen_length=8)
    assert (found[0].tolist(), found[1]) == (expected[0].tolist(), expected[1])
    assert model.dcp is not None
