"""The small checkpoints of ``llada_runtime.testing`` are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from llada_runtime import LLaDAModel, testing
from llada_runtime.testing import EOS, LLADA_CONFIG, MASK, constant_llada, small_llada, write_llada

IDS = torch.tensor([[1, 2, MASK, 4]])


def test_the_public_names_of_the_kit_are_these() -> None:
    assert testing.__all__ == [
        "EOS",
        "LLADA_CONFIG",
        "MASK",
        "VOCABULARY",
        "FakeConfig",
        "FakeNetwork",
        "algorithm_checks",
        "check_network",
        "check_policy",
        "check_rule",
        "constant_llada",
        "llada_weights",
        "small_llada",
        "write_llada",
    ]


def test_a_seed_makes_the_same_model_and_another_seed_another() -> None:
    assert torch.equal(small_llada(seed=3)(IDS), small_llada(seed=3)(IDS))
    assert not torch.equal(small_llada(seed=3)(IDS), small_llada(seed=4)(IDS))


def test_a_model_outlives_the_folder_that_it_was_read_from(tmp_path: Path) -> None:
    kept = LLaDAModel.from_pretrained(write_llada(tmp_path), device="cpu")
    assert torch.equal(small_llada()(IDS), kept(IDS))


def test_fields_and_tensors_can_be_changed_and_left_out(tmp_path: Path) -> None:
    folder = write_llada(tmp_path, rope=..., n_layers=1, weights={"extra": torch.ones(2)})
    written = json.loads((folder / "config.json").read_text())
    assert written == {**{k: v for k, v in LLADA_CONFIG.items() if k != "rope"}, "n_layers": 1}
    assert "holds extra" in refusal(folder)
    name = "model.transformer.blocks.0.q_proj.weight"
    assert name in refusal(write_llada(tmp_path, weights={name: ...}))


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  what it says is the caller's
        LLaDAModel.from_pretrained(folder)
    return str(caught.value)


@pytest.mark.parametrize("token", [7, EOS, MASK])
@pytest.mark.parametrize("canvas", [[1, MASK, MASK], [EOS, 5, MASK, 9, 3]])
def test_a_constant_model_proposes_its_token_everywhere(token: int, canvas: list[int]) -> None:
    logits = constant_llada(token)(torch.tensor([canvas]))
    assert logits.argmax(-1).tolist() == [[token] * len(canvas)]
    assert logits[0, 0].unique().numel() > 2  # the others are not all alike
