"""What a caller has switched on around a network changes nothing about its numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import llada_core
from llada_runtime import LLaDAModel
from llada_runtime.network.precision import without_autocast

IDS = torch.tensor([[1, 2, 3, 4, 5]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_a_float32_model_changes_no_logit(model: LLaDAModel, dtype: torch.dtype) -> None:
    expected = model(IDS)
    with torch.autocast("cpu", dtype=dtype):
        found = model(IDS)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_nor_the_expected_embedding(model: LLaDAModel) -> None:
    probabilities = torch.rand(3, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.mix(probabilities)
    assert torch.equal(found, model.mix(probabilities))


@pytest.mark.parametrize("algorithm", ["basic", "prefix_cache", "dual_cache", "dinfer_hierarchy"])
def test_nor_an_answer(write_checkpoint, algorithm: str) -> None:
    with llada_core.load_model(write_checkpoint(), device="cpu") as lm:
        plain = lm.generate([1, 2, 3], algorithm=algorithm, gen_length=16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = lm.generate([1, 2, 3], algorithm=algorithm, gen_length=16)
    assert (found.token_ids, found.nfe) == (plain.token_ids, plain.nfe)


def test_it_is_off_inside_alone() -> None:
    class Layer(nn.Module):
        device = torch.device("cpu")

        @without_autocast
        def forward(self, x: torch.Tensor) -> bool:
            return torch.is_autocast_enabled("cpu")

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Layer()(IDS) is False
        assert torch.is_autocast_enabled("cpu")
