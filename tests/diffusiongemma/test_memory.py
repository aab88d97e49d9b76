"""Memory estimates against real tensors and caches, and against the published size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import CheckpointError, LoadOptions, UsageError
from llada_diffusiongemma import GemmaConfig
from llada_diffusiongemma.loading import load
from llada_diffusiongemma.memory import estimate, logit_bytes, mask_bytes, planned_steps
from llada_diffusiongemma.plugin import PUBLISHED
from llada_diffusiongemma.row import CanvasRow, Listener, asked
from tests.diffusiongemma.published import FACTS
from tests.diffusiongemma.tiny_models import CONFIG, config_with, network_of, write_model
from tests.support.program import Llada

A4B: dict[str, Any] = FACTS["config"]


def counted(network: Any) -> int:
    """The numbers of the language model, tied ones once."""
    network.model.encoder.vision_tower = network.model.encoder.embed_vision = None
    return sum(each.numel() for each in network.parameters())


def _peak(call: Callable[[], object]) -> int:
    """Bytes that ``call`` has at most at a time."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as told:
        call()
    held, most = 0, 0
    allocations = [each for each in told.profiler.kineto_results.events() if each.name() == "[memory]"]
    for each in sorted(allocations, key=lambda each: each.start_ns()):
        held += each.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        config_with(tie_word_embeddings=False),
        config_with({"attention_bias": True}),
        config_with({"num_hidden_layers": 7, "layer_types": ...}),
        config_with({"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}),
        config_with({"num_global_key_value_heads": ...}),
        config_with({"num_experts": 7, "top_k_experts": 7, "moe_intermediate_size": 5}),
        config_with(
            {
                "num_global_key_value_heads": ...,
                "global_head_dim": ...,
                "per_layer_config": {"0": {"num_key_value_heads": 4}, "1": {"head_dim": 24}},
            }
        ),
    ],
)
def test_an_estimate_counts_the_real_weights_by_either_spelling(config: dict[str, Any]) -> None:
    network = network_of(config)
    spelled, held = network.config.to_dict(), counted(network)
    for fields in (config, spelled):
        assert estimate(fields, dtype="float32").weights == 4 * held


def test_what_is_loaded_is_what_is_counted(tmp_path: Path) -> None:
    network = load(write_model(tmp_path, tokenizer=False), LoadOptions(device="cpu", dtype="bfloat16"))
    held = {each.data_ptr(): each.nbytes for each in network.parameters()}
    assert estimate(CONFIG).weights == sum(held.values())


@pytest.mark.parametrize("window", [16, 4])
@pytest.mark.parametrize("columns", [3, 15, 40])
def test_a_cache_is_as_large_as_it_is_said_to_be(window: int, columns: int) -> None:
    config = config_with({"sliding_window": window})
    network = network_of(config)
    told = network.generate(torch.full((1, columns), 5), max_new_tokens=8, max_denoising_steps=1)
    held = sum(each.numel() for layer in told.past_key_values.layers for each in (layer.keys, layer.values))
    assert GemmaConfig.from_dict(config).kv_numbers(columns) == held


@pytest.mark.parametrize("columns", [3, 40])
def test_a_row_holds_no_more_memory_than_its_cache_is_said_to_have(columns: int, lm: Any) -> None:
    """Where the class keeps a view of a whole prompt for the window of a sliding layer."""
    algorithm, network = lm.algorithm("diffusion_gemma"), lm.model.network
    row = algorithm.sequence(network, [5] * columns, algorithm.validate_args(gen_length=24, seed=1))
    config = GemmaConfig.from_dict(network.config.to_dict())
    for written in range(2):
        row.write(network)
        held = sum(
            each.untyped_storage().nbytes()
            for layer in row._cache.layers
            for each in (layer.keys, layer.values)
        )
        assert held == 4 * config.kv_numbers(columns + written * 8)


@pytest.mark.parametrize(("dtype", "copies"), [(torch.float32, 8.0), (torch.bfloat16, 7.5)])
def test_a_canvas_has_as_many_copies_of_its_logits_as_are_counted(dtype: torch.dtype, copies: float) -> None:
    """What is fed back is in the model's dtype, all else in float32."""
    canvas, vocabulary = 64, 16384
    config = config_with({"vocab_size": vocabulary}, canvas_length=canvas)
    network, values = network_of(config).to(dtype), {**PUBLISHED, "canvas_length": canvas}
    steps = {**values, "max_denoising_steps": 3}
    most = _peak(lambda: asked(network, [5, 6], steps, Listener(), length=canvas))
    assert most / (canvas * vocabulary * 4) == pytest.approx(copies, abs=0.05)
    assert most <= logit_bytes(GemmaConfig.from_dict(config)) * 1.01


def test_the_columns_of_a_row_of_the_published_model_take_what_its_layers_keep() -> None:
    found = estimate(A4B)
    assert found.kv_per_token == 2 * 2 * (25 * 8 * 256 + 5 * 2 * 512)
    assert found.kv_per_row == 2 * 2 * (25 * 8 * 256 * 1023 + 5 * 2 * 512 * 262144)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seen", ["vision", None])
def test_the_masks_of_a_prompt_take_no_more_than_is_counted(dtype: torch.dtype, seen: str | None) -> None:
    """Of a prompt so long that they outweigh all else that a forward of this small network makes."""
    columns = 3000
    text = {"max_position_embeddings": 4096, "use_bidirectional_attention": seen}
    config = config_with(text, canvas_length=1)
    network, ids = network_of(config).to(dtype), [5] * columns
    values = {**PUBLISHED, "canvas_length": 1, "max_denoising_steps": 1}
    most = _peak(lambda: asked(network, ids, values, Listener(), length=1))
    told = mask_bytes(GemmaConfig.from_dict(config), columns, dtype.itemsize)
    assert 0.8 * told <= most <= 1.1 * told


def test_what_fits_is_what_weights_and_one_canvas_leave() -> None:
    assert estimate(A4B).rows_that_fit is None
    assert estimate(A4B, available=50 * 10**9).rows_that_fit == 0
    told = estimate(A4B, available=80 * 2**30)
    left = 80 * 2**30 - told.weights - told.logits_per_row
    assert told.rows_that_fit == left // told.kv_per_row == 5
    assert told.columns_that_fit is not None
    over = told.columns_that_fit - 5 * 262144
    config = GemmaConfig.from_dict(A4B)
    held = [5 * told.kv_per_row + 2 * config.kv_numbers(columns) for columns in (over, over + 1)]
    assert held[0] <= left < held[1]
    assert estimate(A4B, available=50 * 10**9).columns_that_fit == 0


@pytest.mark.parametrize("numbers", [0, 1, 2000, 10**6, 225280 * 1000, 3 * 10**9])
def test_columns_within_are_the_most_whose_keys_and_values_fit(numbers: int) -> None:
    config = GemmaConfig.from_dict(A4B)
    columns = config.columns_within(numbers)
    assert config.kv_numbers(columns) <= numbers < config.kv_numbers(columns + 1)


def test_a_row_of_ten_thousand_tokens_is_charged_what_the_readme_says() -> None:
    config = GemmaConfig.from_dict(A4B)
    row = CanvasRow(
        range(9000), {"gen_length": 1000, "canvas_length": 250, "seed": 1}, config=config, end_ids=frozenset()
    )
    assert row.columns * estimate(A4B).kv_per_token == pytest.approx(0.4145e9, rel=0.001)


def test_another_dtype_and_other_ways_of_loading_are_refused() -> None:
    with pytest.raises(CheckpointError, match="dtype 'int8' cannot be used"):
        estimate(A4B, dtype="int8")
    with pytest.raises(UsageError, match="leave tensor_parallel out"):
        estimate(A4B, tensor_parallel=2)
    with pytest.raises(UsageError, match="leave quantization out"):
        estimate(A4B, quantization="int8")


def test_an_estimate_needs_no_torch() -> None:
    program = (
        "import json, sys; from llada_diffusiongemma.memory import estimate, planned_steps;"
        "fields = json.loads(sys.argv[1]); estimate(fields);"
        "planned_steps(fields, device='cpu', dtype='float32');"
        "assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(A4B)], check=True)


def test_steps_are_told_in_a_sentence() -> None:
    assert planned_steps(A4B, device="cuda", dtype="bfloat16") == (
        "steps run on transformers' own class on cuda in bfloat16: a canvas of 256 tokens a step, of one row "
        "at a time"
    )


def test_doctor_states_the_memory_of_a_model(tmp_path: Path, llada: Llada) -> None:
    (tmp_path / "config.json").write_text(json.dumps(A4B))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"]) == (0, "diffusion_gemma")
    assert told["memory"]["weights"] == estimate(A4B).weights
    assert told["steps"].startswith("steps run on transformers' own class")


def test_doctor_says_why_it_cannot_tell(tmp_path: Path, llada: Llada) -> None:
    fields = {**A4B, "text_config": {**A4B["text_config"], "num_kv_shared_layers": 4}}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    status, out, _ = llada("doctor", "--model", str(tmp_path), "--json")
    told = json.loads(out)["model"]
    assert (status, told["engine"], told["memory"]) == (1, "diffusion_gemma", None)
    assert "text_config.num_kv_shared_layers = 4 is not implemented" in told["reason"]
