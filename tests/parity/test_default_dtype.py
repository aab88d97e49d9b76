"""A program may set torch's default dtype, as inference code does: no decoder depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import llada_core
from llada_core import LoadedModel
from llada_runtime.testing import write_llada

ALGORITHMS = ("basic", "prefix_cache", "dual_cache", "dinfer_blockwise", "dinfer_hierarchy", "dinfer_credit")


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    folder: Path = write_llada(tmp_path_factory.mktemp("llada"), max_sequence_length=64)
    with llada_core.load_model(folder, device="cpu") as model:
        yield model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_answers_are_the_same_under_any_default_dtype(
    lm: LoadedModel, algorithm: str, dtype: torch.dtype
) -> None:
    if algorithm not in llada_core.list_algorithms():
        pytest.skip(f"{algorithm} is not installed")
    asked = {"algorithm": algorithm, "gen_length": 16, "block_length": 8, "early_stop": False}
    wanted = lm.generate([3, 4, 5], **asked)
    torch.set_default_dtype(dtype)
    try:
        found = lm.generate([3, 4, 5], **asked)
    finally:
        torch.set_default_dtype(torch.float32)
    assert (found.token_ids, found.nfe) == (wanted.token_ids, wanted.nfe)
