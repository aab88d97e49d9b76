"""Which models are the engine's, told from ``config.json`` alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import IncompatibleEngine, UnsupportedModel
from llada_core.registry.wheels import published, takes
from llada_diffusiongemma.plugin import llada_engines
from tests.diffusiongemma.tiny_models import CONFIG, config_with

OURS = {
    "as published": CONFIG,
    "another architecture": config_with(architectures=["MyGemmaForBlockDiffusion"]),
    "a type of its own": config_with(model_type="my_gemma"),
}
GEMMAS = [
    {"model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"]},
    {"model_type": "gemma4_text", "architectures": ["Gemma4ForCausalLM"]},
    {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]},
    {"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]},
    {"model_type": "t5gemma", "architectures": ["T5GemmaForConditionalGeneration"]},
    {"model_type": "paligemma", "architectures": ["PaliGemmaForConditionalGeneration"]},
]
OTHERS = [
    {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]},
    {"model_type": "diffusion_llama", "canvas_length": 256},
    {"canvas_length": 256},
    {},
]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


def write(folder: Path, config: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", OURS)
def test_the_family_is_taken(name: str, tmp_path: Path) -> None:
    assert llada_core.detect_engine(write(tmp_path, OURS[name])) == "diffusion_gemma"


@pytest.mark.parametrize("config", GEMMAS, ids=lambda config: config["model_type"])
def test_an_autoregressive_gemma_is_refused_with_what_it_is(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="an autoregressive Gemma model, which denoises no canvas"):
        llada_core.detect_engine(write(tmp_path, config))
    with pytest.raises(IncompatibleEngine, match="an autoregressive Gemma model"):
        llada_core.load_model(tmp_path, engine="diffusion_gemma")


@pytest.mark.parametrize("config", OTHERS)
def test_what_is_of_others_is_left_to_them(config: dict[str, Any], tmp_path: Path) -> None:
    found = llada_core.detect(write(tmp_path, config))
    assert "diffusion_gemma" not in [each.engine for each in found.candidates]


@pytest.mark.parametrize("config", [*OURS.values(), *GEMMAS, *OTHERS])
def test_the_row_of_known_wheels_takes_the_same(config: dict[str, Any]) -> None:
    model = ModelConfig(path="x", fields=config)
    (engine,) = llada_engines()
    (row,) = [row for row in published().rows if row.engine == engine.name]
    assert takes(row, model) is model.matches(engine.model_types, engine.architectures)
