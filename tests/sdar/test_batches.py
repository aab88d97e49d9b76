"""A row's tokens and forwards never depend on its neighbours, whatever their algorithms."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_runtime import drain
from llada_sdar import SDARNetwork
from tests.sdar.golden_data import MODELS, golden_model
from tests.sdar.tiny_models import Variant, write_model
from tests.support.cases import cases

Row = tuple[str, list[int], dict[str, Any]]
QUICK = 20
NETWORKS = [*MODELS, "moe"]


@functools.cache
def network(name: str) -> SDARNetwork:
    if name != "moe":
        return golden_model(name)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), "moe", tokenizer=False)
        return SDARNetwork.from_pretrained(folder, device="cpu")


def row(source: random.Random, model: SDARNetwork) -> Row:
    """A prompt and a setting of one of the algorithms."""
    ids = [token for token in range(model.config.vocab_size) if token != model.config.mask_token_id]
    name = source.choice(["sdar", "sdar", "sdar_lmdeploy", "sdar_low_confidence"])
    params: dict[str, Any] = {
        "gen_length": source.randint(1, 14),
        "block_length": source.choice([None, 1, 2, 3, 4, 8, 16]),
        "early_stop": source.random() < 0.7,
    }
    strategies = ["low_confidence_dynamic", "low_confidence_static", "sequential"]
    strategy = "low_confidence_dynamic" if name == "sdar_low_confidence" else source.choice(strategies)
    if name == "sdar" and source.random() < 0.2:
        strategy = "entropy_bounded"
        params["eb_threshold"] = source.choice([None, 0.1, 1.0])
    elif name == "sdar" or strategy != "low_confidence_dynamic":
        params["denoising_steps"] = source.choice([None, 1, 2, 3, 9])
    if strategy == "low_confidence_dynamic":
        params["threshold"] = source.choice([None, 0.0, 0.3, 0.6, 0.9, 1.0])
    if name != "sdar_low_confidence":
        params |= {
            "remasking_strategy": strategy,
            "temperature": source.choice([0.0, 0.0, 0.7, 1.5]),
            "top_k": source.choice([None, 3, 20]),
            "top_p": source.choice([None, 0.8]),
            "seed": source.randint(0, 99),
        }
    if name == "sdar":
        params["do_sample"] = source.random() < 0.5
    return name, source.choices(ids, k=source.randint(1, 24)), params


def decode(model: SDARNetwork, rows: list[Row]) -> list[tuple[list[int], int]]:
    sequences = []
    for name, prompt, params in rows:
        algorithm = llada_core.get_algorithm(name)
        sequences.append(algorithm.sequence(model, prompt, algorithm.validate_args(**params)))
    for step in drain(model, sequences, rows=len(rows)):
        assert step.error is None
    return [(sequence.canvas, sequence.nfe) for sequence in sequences]


def compare(case: int) -> None:
    source = random.Random(case)
    model = network(NETWORKS[case % len(NETWORKS)])
    rows = [row(source, model) for _ in range(source.randint(2, 4))]
    together = decode(model, rows)
    assert together == [decode(model, [each])[0] for each in rows]
    for (_, prompt, params), (canvas, _) in zip(rows, together, strict=True):
        assert canvas[: len(prompt)] == prompt
        assert len(canvas) == len(prompt) + params["gen_length"]
        assert model.config.mask_token_id not in canvas


@pytest.mark.parametrize("case", range(QUICK))
def test_rows_of_any_algorithm_decode_as_if_alone(case: int) -> None:
    compare(case)


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_on_a_gpu_a_ragged_batch_is_its_rows_alone(tmp_path: Path, variant: Variant) -> None:
    lm = llada_core.load_model(write_model(tmp_path, variant), device="cuda", dtype="float32")
    source = random.Random(variant)
    prompts = [source.choices(range(20, 100), k=source.randint(1, 30)) for _ in range(8)]
    for name in lm.algorithms():
        asked: dict[str, Any] = {"algorithm": name, "gen_length": 32, "threshold": 0.6}
        together = lm.generate(prompts, **asked)
        alone = [lm.generate(prompt, **asked) for prompt in prompts]
        assert [(r.token_ids, r.nfe) for r in together] == [(r.token_ids, r.nfe) for r in alone]


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_on_a_gpu_it_decodes_as_on_the_cpu(tmp_path: Path, variant: Variant) -> None:
    folder = write_model(tmp_path, variant)
    found = {}
    for device in ("cpu", "cuda"):
        lm = llada_core.load_model(folder, device=device, dtype="float32")
        made = [lm.generate([20, 30, 40, 50, 60], algorithm=name, gen_length=24) for name in lm.algorithms()]
        found[device] = [(result.token_ids, result.nfe) for result in made]
    assert found["cuda"] == found["cpu"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_rows_of_any_algorithm_decode_as_if_alone() -> None:
    for case in range(QUICK, QUICK + cases(180)):
        compare(case)
