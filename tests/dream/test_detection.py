"""Which models are the engine's, told from ``config.json`` alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import IncompatibleAlgorithm, IncompatibleEngine, UnsupportedModel
from llada_core.registry.wheels import published, takes
from llada_dream.plugin import llada_engines
from tests.dream.published import FAMILY, STRANGERS
from tests.dream.tiny import write_model

LLADA = {"model_type": "llada", "architectures": ["LLaDAModelLM"], "mask_token_id": 126336}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


def write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def needs_fast_dllm() -> None:
    """Skip the rest of a test where the engine is missing that it speaks of."""
    if "fast-dllm" not in llada_core.list_engines():
        pytest.skip("llada-fastdllm is not installed")


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_is_taken(name: str, tmp_path: Path) -> None:
    assert llada_core.detect_engine(write(tmp_path, FAMILY[name])) == "dream"


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("trust", [False, True])
def test_a_neighbour_is_not_taken_and_told_what_it_is(name: str, tmp_path: Path, trust: bool) -> None:
    config, told = STRANGERS[name]
    folder = write(tmp_path, config)
    with pytest.raises(UnsupportedModel) as refused:
        llada_core.detect_engine(folder)
    with pytest.raises(IncompatibleEngine, match="the engine dream does not take"):
        llada_core.detect_engine(folder, engine="dream", trust_remote_code=trust)
    needs_fast_dllm()
    assert told.lower() in str(refused.value).lower()


def test_llada_is_left_to_its_engines(tmp_path: Path) -> None:
    candidates = llada_core.detect(write(tmp_path, LLADA)).candidates
    assert "dream" not in {each.engine for each in candidates}


def test_the_name_of_a_folder_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel):
        llada_core.detect_engine(write(tmp_path / "Dream-v0-Instruct-7B", {"model_type": "gpt2"}))


@pytest.mark.parametrize("config", [*FAMILY.values(), *(each for each, _ in STRANGERS.values()), LLADA, {}])
def test_the_row_of_known_wheels_takes_the_same(config: dict[str, Any]) -> None:
    (engine,) = llada_engines()
    (row,) = [row for row in published().rows if row.engine == engine.name]
    model = ModelConfig(path="x", fields=config)
    assert takes(row, model) is model.matches(engine.model_types, engine.architectures)


def test_the_row_of_known_wheels_says_what_the_engine_says() -> None:
    (engine,) = llada_engines()
    (row,) = [row for row in published().rows if row.engine == engine.name]
    for field in ("summary", "priority", "model_types", "architectures", "strangers"):
        assert getattr(row, field) == getattr(engine, field)


def test_decoders_that_read_logits_in_their_column_are_not_offered(tmp_path: Path) -> None:
    lm = llada_core.load_model(write_model(tmp_path), device="cpu")
    assert sorted(lm.algorithms()) == ["dream", "dream_dual_cache", "dream_prefix_cache", "dream_threshold"]
    assert set(lm.algorithms().values()) == {None}
    needs_fast_dllm()
    with pytest.raises(IncompatibleAlgorithm, match="basic runs on the engine fast-dllm"):
        lm.generate([5, 6], algorithm="basic", gen_length=4)
