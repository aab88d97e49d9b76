"""Memory estimates against the published shape of LLaDA-8B."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llada_core import UsageError
from llada_runtime import CheckpointError, LLaDAConfig, LLaDAModel, estimate, estimate_of
from llada_runtime.testing import LLADA_CONFIG, llada_weights

LLADA_8B = {
    **LLADA_CONFIG,
    "d_model": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 32,
    "mlp_hidden_size": 12288,
    "vocab_size": 126464,
    "embedding_size": 126464,
    "max_sequence_length": 4096,
}


def test_llada_8b_has_its_published_size() -> None:
    found = estimate(LLADA_8B)
    assert found.weights == 2 * 8_015_581_184
    assert found.kv_per_token == 512 * 1024


def test_the_parameter_count_is_that_of_the_tensors() -> None:
    for tied in (False, True):
        config = {**LLADA_CONFIG, "weight_tying": tied}
        held = sum(tensor.numel() for tensor in llada_weights(config).values())
        assert LLaDAConfig.from_dict(config).parameter_count == held


def test_what_fits_is_what_the_weights_leave() -> None:
    assert estimate(LLADA_8B, available=None).rows_that_fit is None
    assert estimate(LLADA_8B, available=10 * 2**30).rows_that_fit == 0
    assert estimate(LLADA_8B, available=80 * 2**30).rows_that_fit == 32
    assert estimate(LLADA_8B, available=None).columns_that_fit is None
    assert estimate(LLADA_8B, available=10 * 2**30).columns_that_fit == 0
    assert estimate(LLADA_8B, available=80 * 2**30).columns_that_fit == 133_201


def test_the_numbers_of_any_network_give_an_estimate() -> None:
    found = estimate_of(
        parameter_count=1000,
        n_layers=3,
        n_kv_heads=2,
        head_dim=8,
        vocabulary=10,
        max_sequence_length=50,
        dtype="float32",
        available=4000 + 3 * (50 * 384 + 2560),
    )
    assert found.as_dict() == {
        "dtype": "float32",
        "weights": 4000,
        "kv_per_token": 384,
        "logits_per_row": 2560,
        "max_sequence_length": 50,
        "kv_per_row": 50 * 384,
        "available": 69280,
        "columns_that_fit": (3 * 50 * 384 + 2 * 2560) // 384,
        "rows_that_fit": 3,
    }


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_weights_of_eight_bits_are_counted_as_they_are(
    write_checkpoint: Callable[..., Path], tied: bool, kind: str
) -> None:
    config = {**LLADA_CONFIG, "weight_tying": tied}
    folder = write_checkpoint({"weight_tying": tied})
    network = LLaDAModel.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization=kind)
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    found = estimate(config, quantization=kind)
    assert found.weights == sum(held.values())
    assert found.kv_per_token == estimate(config).kv_per_token


def test_llada_8b_takes_half_in_eight_bits() -> None:
    found = estimate(LLADA_8B, quantization="fp8")
    rows = 126464
    scales = 32 * (3 * 4096 + 2 * 12288 + 2 * 4096) + rows
    assert (
        found.weights == estimate(LLADA_8B).weights - (8_015_581_184 - rows * 4096 - 65 * 4096) + 4 * scales
    )


def test_another_quantization_is_refused() -> None:
    with pytest.raises(UsageError, match="quantization 'int4' cannot be used; choose 'fp8' or 'int8'"):
        estimate(LLADA_8B, quantization="int4")


def test_another_dtype_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(CheckpointError, match="dtype 'int8' cannot be used; choose 'float32', 'bfloat16' or"):
        estimate(LLADA_8B, dtype="int8")
