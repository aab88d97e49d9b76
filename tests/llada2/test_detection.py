"""Which models are the engine's, told from ``config.json`` alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core import IncompatibleEngine, ModelError, ModelLoadError
from llada_core.checkpoints.config import ModelConfig
from llada_core.registry.wheels import published, takes
from llada_llada2.plugin import llada_engines
from tests.llada2.tiny_models import CONFIG, MINI, write_model

FAMILY: dict[str, dict[str, Any]] = {
    "as published": MINI,
    "as dllm writes 2.1": {**MINI, "model_type": "llada21_moe"},
    "without architectures": {name: each for name, each in MINI.items() if name != "architectures"},
    "tuned, of a type of its own": {**MINI, "model_type": "mine"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "LLaDA": {"model_type": "llada", "architectures": ["LLaDAModelLM"], "mask_token_id": 126336},
    "LLaDA-MoE": {"model_type": "llada", "architectures": ["LLaDAMoEModelLM"]},
    "SDAR": {"model_type": "sdar", "architectures": ["SDARForCausalLM"], "mask_token_id": 151669},
    "SDAR-MoE": {"model_type": "sdar_moe", "architectures": ["SDARMoeForCausalLM"]},
    "Dream": {"model_type": "Dream", "architectures": ["DreamModel"], "mask_token_id": 151666},
    "Qwen3": {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]},
    "Qwen3-MoE": {"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]},
    "Ling (autoregressive)": {"model_type": "bailing_moe", "architectures": ["BailingMoeV2ForCausalLM"]},
}

each_of_the_family = pytest.mark.parametrize("name", FAMILY)
each_other = pytest.mark.parametrize("name", OTHERS)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


def write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@each_of_the_family
def test_the_family_is_taken(name: str, tmp_path: Path) -> None:
    assert llada_core.detect_engine(write(tmp_path, FAMILY[name])) == "llada2"


@each_other
def test_a_neighbour_is_not(name: str, tmp_path: Path) -> None:
    detection = llada_core.detect(write(tmp_path, OTHERS[name]))
    assert "llada2" not in {detection.engine, *(each.engine for each in detection.candidates)}


@each_other
def test_a_neighbour_is_refused_where_the_engine_is_named(name: str, tmp_path: Path) -> None:
    """By what it is, and not by a number that its file lacks or a tensor that is missing."""
    folder = write(write_model(tmp_path, tokenizer=False), {**CONFIG, **OTHERS[name]})
    with pytest.raises(IncompatibleEngine, match="the engine llada2 does not take"):
        llada_core.load_model(folder, engine="llada2", device="cpu")


def test_the_file_of_the_neighbours_is_whole_but_for_their_name(tmp_path: Path) -> None:
    """Under LLaDA2's own name it loads: so it is the name alone that they are refused by."""
    folder = write_model(tmp_path, tokenizer=False)
    with llada_core.load_model(folder, engine="llada2", device="cpu") as lm:
        assert lm.model.network.config.shape.experts.count == CONFIG["num_experts"]


def test_the_format_for_training_is_told_what_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path, {**MINI, "model_type": "llada2_moe_veomni", "architectures": ["Merged"]})
    assert llada_core.detect_engine(folder) == "llada2"
    with pytest.raises(
        ModelLoadError, match="dFactory's format for training, whose experts are merged; split"
    ):
        llada_core.load_model(folder, device="cpu")


def test_the_name_of_a_folder_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        llada_core.detect_engine(write(tmp_path / "llada2", OTHERS["Qwen3"]))


@pytest.mark.parametrize("config", [*FAMILY.values(), *OTHERS.values(), {}])
def test_the_row_of_known_wheels_says_the_same(config: dict[str, Any]) -> None:
    model = ModelConfig(path="x", fields=config)
    (engine,) = llada_engines()
    (row,) = [row for row in published().rows if row.engine == engine.name]
    assert takes(row, model) is model.matches(engine.model_types, engine.architectures)
    assert row.distribution == "llada-llada2"
    said = (row.summary, row.priority, row.model_types, row.architectures, row.strangers)
    assert said == (
        engine.summary, engine.priority, engine.model_types, engine.architectures, engine.strangers
    )  # fmt: skip


def test_a_2_2_model_is_the_engines_and_loading_says_why_not(tmp_path: Path) -> None:
    folder = write(tmp_path, {**MINI, "delete_token_id": 156930, "split_token_id": 156931})
    assert llada_core.detect_engine(folder) == "llada2"
    with pytest.raises(ModelLoadError, match=r"is of LLaDA2.2, which inserts and deletes tokens"):
        llada_core.load_model(folder, device="cpu")


def test_the_default_is_the_decoder_that_both_models_have(tmp_path: Path) -> None:
    """Nothing in the file tells 2.1, whose own decoder edits, from 2.0, which was not trained to."""
    with llada_core.load_model(write_model(tmp_path), device="cpu") as lm:
        assert lm.generate([20, 21], gen_length=4).algorithm == "llada2"
        assert lm.algorithms() == dict.fromkeys(lm.algorithms())  # each runs
    assert CONFIG["model_type"] == MINI["model_type"]
