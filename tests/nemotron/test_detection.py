"""Which models are the engine's, told from ``config.json`` alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import IncompatibleEngine, ModelLoadError, UnsupportedModel
from llada_core.registry.wheels import published, takes
from llada_nemotron.plugin import llada_detect_engine, llada_engines
from tests.nemotron.published import FAMILY, STRANGERS
from tests.nemotron.tiny_models import write_model

LLADA = {"model_type": "llada", "architectures": ["LLaDAModelLM"], "mask_token_id": 126336}

each_of_the_family = pytest.mark.parametrize("name", FAMILY)
each_stranger = pytest.mark.parametrize("name", STRANGERS)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


def write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def hook(config: dict[str, Any], *others: Any) -> str | None:
    return llada_detect_engine(config, [SimpleNamespace(spec=spec) for spec in (*llada_engines(), *others)])


@each_of_the_family
def test_the_family_is_taken(name: str, tmp_path: Path) -> None:
    assert llada_core.detect_engine(write(tmp_path, FAMILY[name])) == "nemotron"


@each_stranger
def test_a_stranger_is_refused_with_what_it_is(name: str, tmp_path: Path) -> None:
    config, kind = STRANGERS[name]
    with pytest.raises(UnsupportedModel, match=kind):
        llada_core.detect_engine(write(tmp_path, config))


@each_stranger
@pytest.mark.parametrize("trust", [False, True])
def test_a_stranger_is_refused_where_the_engine_is_named(name: str, tmp_path: Path, trust: bool) -> None:
    config, kind = STRANGERS[name]
    with pytest.raises(IncompatibleEngine, match=kind):
        llada_core.load_model(write(tmp_path, config), engine="nemotron", trust_remote_code=trust)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "nemotron_two_tower"},
        {"model_type": "x", "auto_map": {"AutoModel": "modeling_nemotron_twotower.Model"}},
    ],
)
def test_two_towers_are_strangers_in_any_spelling(config: dict[str, Any], tmp_path: Path) -> None:
    fields = {**config, "dlm_paradigm": "bidirectional", "mask_token_id": 3}
    with pytest.raises(UnsupportedModel, match="a TwoTower diffusion model"):
        llada_core.detect_engine(write(tmp_path, fields))


@each_stranger
def test_the_hook_has_no_opinion_on_strangers(name: str) -> None:
    config, _ = STRANGERS[name]
    assert hook(config) is None
    assert hook({**config, "dlm_paradigm": "bidirectional", "mask_token_id": 3}) is None


def test_the_name_of_a_folder_says_nothing(tmp_path: Path) -> None:
    detection = llada_core.detect(write(tmp_path / "nemotron", LLADA))
    assert {candidate.engine for candidate in detection.candidates} == {"dinfer", "fast-dllm"}
    assert detection.engine != "nemotron"


def test_the_hook_leaves_alone_what_an_engine_lists() -> None:
    config = {**LLADA, "dlm_paradigm": "bidirectional"}
    other = SimpleNamespace(model_types=("llada",), architectures=())
    assert hook(config) == "nemotron"
    assert hook(config, other) is None


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"dlm_paradigm": "bidirectional"},
        {"dlm_paradigm": "bidirectional", "mask_token_id": -1},
        {"dlm_paradigm": "bidirectional", "mask_token_id": None},
        {"dlm_paradigm": None, "mask_token_id": 100},
        {"mask_token_id": 100},
        {"auto_map": {"AutoModel": "modeling_ministral.MinistralModel"}},
        {"auto_map": "modeling_nvrdiff"},
        {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]},
    ],
)
def test_a_config_that_says_too_little_is_left_to_others(config: dict[str, Any]) -> None:
    assert hook(config) is None


@pytest.mark.parametrize(
    "config", [*FAMILY.values(), *(config for config, _ in STRANGERS.values()), LLADA, {}]
)
def test_the_row_of_known_wheels_takes_the_same(config: dict[str, Any]) -> None:
    model = ModelConfig(path="x", fields=config)
    (engine,) = llada_engines()
    ours = model.matches(engine.model_types, engine.architectures) or hook(config) == "nemotron"
    (row,) = [row for row in published().rows if row.engine == engine.name]
    assert takes(row, model) is ours


def test_what_our_network_does_not_implement_is_not_offered_to_another_engine(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs", architectures=["NemotronLabsDiffusionVLMModel"])
    with pytest.raises(ModelLoadError, match=r"\(--trust-remote-code\) the model's own code can run it$"):
        llada_core.load_model(folder, device="cpu")
