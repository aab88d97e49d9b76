"""The checkpoint with long answers: llada-tiny's network and tokenizer, weights of its own, right answers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from safetensors import safe_open

import llada_core
import llada_tiny
from llada_core import GenerationRequest
from llada_tiny_long import model_path
from llada_tiny_long.tasks import held_out

WEIGHTS = "model.safetensors"


def test_the_path_needs_no_torch() -> None:
    code = (
        "import sys, llada_tiny_long, llada_tiny_long.tasks; llada_tiny_long.model_path();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_file_but_the_weights_is_that_of_llada_tiny() -> None:
    ours, theirs = (
        {path.name for path in module.iterdir()} for module in (model_path(), llada_tiny.model_path())
    )
    assert ours == theirs
    for name in ours - {WEIGHTS}:
        assert (model_path() / name).read_bytes() == (llada_tiny.model_path() / name).read_bytes()


def test_the_weights_have_the_shapes_of_llada_tiny_and_fit_in_16_mb() -> None:
    found = []
    for folder in (model_path(), llada_tiny.model_path()):
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            found.append({name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()})
    assert found[0] == found[1]
    assert (model_path() / WEIGHTS).stat().st_size <= 16_000_000
    assert json.loads((model_path() / "config.json").read_text())["max_sequence_length"] == 1024


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_is_named_and_answers_at_length_one_token_a_step() -> None:
    asked = [each for family in ("columns", "plans", "programs") for each in held_out(family, 1, seed=5)]
    parameters = {"gen_length": 448, "threshold": None, "steps": 448}
    requests = [
        GenerationRequest(prompt=list(each.messages), algorithm="dual_cache", parameters=parameters)
        for each in asked
    ]
    with llada_core.load_model("llada-tiny-long", device="cpu") as lm:
        results = lm.generate_batch(requests)
    assert [each.accepts(result.text) for each, result in zip(asked, results, strict=True)] == [True] * 3
    assert sum(result.completion_tokens for result in results) > 600


def test_it_answers_at_length_in_few_forwards() -> None:
    (asked,) = held_out("columns", 1, seed=4)
    with llada_core.load_model("llada-tiny-long", device="cpu") as lm:
        result = lm.generate(asked.messages, algorithm="dual_cache", gen_length=448, threshold=0.9)
    assert asked.accepts(result.text)
    assert result.completion_tokens > max(100, 5 * result.nfe)
