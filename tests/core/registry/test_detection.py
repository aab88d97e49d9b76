"""The engine of a model follows from its ``config.json`` and from what is installed, and from nothing
else."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    EngineSkipped,
    EngineUnavailable,
    IncompatibleEngine,
    ModelNotFound,
    UnknownEngine,
    UnsupportedModel,
    detect,
    detect_engine,
    plugin_statuses,
    registry,
)

Site = Any
WriteModel = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> WriteModel:
    """A function that writes a model's folder with the config that it is given."""

    def write(folder: str = "model", **config: Any) -> Path:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        (path / "config.json").write_text(json.dumps(config))
        return path

    return write


@pytest.fixture
def site(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site, whose registry the functions share; it is made at the first detection."""
    monkeypatch.setattr("llada_core.registry.functions.Registry", site.registry)
    with registry.using(None):
        yield site


def add_llada_engines(site: Site, *, dinfer_requires: tuple[str, ...] = ()) -> None:
    site.add_engine("fast-dllm", algorithms={"basic": ()}, model_types=("llada",), priority=10)
    site.add_engine(
        "dinfer", algorithms={"hier": ()}, model_types=("llada",), priority=20, requires=dinfer_requires
    )


def test_an_exact_model_type_finds_the_engine(site: Site, model: WriteModel) -> None:
    site.add_engine("e", algorithms={"echo": ()}, model_types=("mine",))
    assert detect_engine(model(model_type="mine")) == "e"


def test_an_exact_architecture_finds_the_engine(site: Site, model: WriteModel) -> None:
    site.add_engine("e", algorithms={"echo": ()}, architectures=("MineLM",))
    assert detect_engine(model(model_type="other", architectures=["X", "MineLM"])) == "e"


@pytest.mark.parametrize(
    "config", [{"model_type": "mine2"}, {"model_type": "MINE"}, {"architectures": ["Min"]}]
)
def test_what_is_nearly_equal_finds_nothing(site: Site, model: WriteModel, config: dict[str, Any]) -> None:
    site.add_engine("e", algorithms={"echo": ()}, model_types=("mine",), architectures=("Mine",))
    with pytest.raises(UnsupportedModel):
        detect_engine(model(**config))


def test_the_path_says_nothing(site: Site, model: WriteModel) -> None:
    add_llada_engines(site)
    with pytest.raises(UnsupportedModel):
        detect_engine(model("llada-8b-nemotron", model_type="gpt2"))


@pytest.mark.parametrize(
    "config",
    [{}, {"model_type": 3}, {"model_type": ["llada"]}, {"architectures": "x"}, {"architectures": [3, None]},
     {"auto_map": []}, {"auto_map": {"AutoModel": None}}, {"mask_token_id": "x", "dlm_paradigm": {}}],
)  # fmt: skip
def test_a_config_may_hold_anything(site: Site, model: WriteModel, config: dict[str, Any]) -> None:
    add_llada_engines(site)
    assert detect(model(**config)).engine is None


def test_of_the_engines_that_match_the_highest_priority_is_taken(site: Site, model: WriteModel) -> None:
    add_llada_engines(site)
    found = detect(model(model_type="llada"))
    assert found.engine == "dinfer"
    assert [candidate.engine for candidate in found.candidates] == ["dinfer", "fast-dllm"]


def test_of_equal_priorities_the_first_name_is_taken(site: Site, model: WriteModel) -> None:
    for name in ("b", "a"):
        site.add_engine(name, algorithms={f"echo_{name}": ()}, model_types=("mine",))
    assert detect_engine(model(model_type="mine")) == "a"


def test_a_better_engine_that_cannot_run_is_skipped_with_one_warning(site: Site, model: WriteModel) -> None:
    add_llada_engines(site, dinfer_requires=("absent",))
    path = model(model_type="llada")
    with pytest.warns(EngineSkipped) as told:
        assert detect_engine(path) == "fast-dllm"
    assert str(told[0].message) == (
        f"{path} is given to fast-dllm: dinfer cannot run here: llada-dinfer needs absent, which is not "
        "installed; pip install 'absent'"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detect_engine(path) == "fast-dllm"


def test_a_better_engine_that_is_not_installed_is_a_candidate_and_no_warning(
    site: Site, model: WriteModel
) -> None:
    site.add_engine("fast-dllm", algorithms={"basic": ()}, model_types=("llada",))
    found = detect(model(model_type="llada"))
    assert found.engine == "fast-dllm"
    assert [(c.engine, c.installed) for c in found.candidates] == [("fast-dllm", True), ("dinfer", False)]
    assert found.candidates[1].reason == "the engine dinfer is not installed; pip install llada-dinfer"


def test_the_caller_overrules_priority(site: Site, model: WriteModel) -> None:
    add_llada_engines(site)
    assert detect_engine(model(model_type="llada"), engine="fast-dllm") == "fast-dllm"


def test_the_variable_overrules_priority_and_the_caller_the_variable(
    site: Site, model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_llada_engines(site)
    monkeypatch.setenv("LLADA_ENGINE", "fast-dllm")
    path = model(model_type="llada")
    assert detect_engine(path) == "fast-dllm"
    assert detect_engine(path, engine="dinfer") == "dinfer"


def test_an_unknown_engine_in_the_variable_is_told_with_the_variable(
    site: Site, model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_llada_engines(site)
    monkeypatch.setenv("LLADA_ENGINE", "dinfre")
    with pytest.raises(
        UnknownEngine, match=r"^LLADA_ENGINE: no engine is called 'dinfre'; did you mean dinfer\?"
    ):
        detect_engine(model(model_type="llada"))


def test_an_engine_that_does_not_take_the_model_is_refused_with_those_that_do(
    site: Site, model: WriteModel
) -> None:
    add_llada_engines(site)
    site.add_engine("other", algorithms={"o": ()}, model_types=("other",))
    path = model(model_type="llada")
    with pytest.raises(IncompatibleEngine) as refused:
        detect_engine(path, engine="other")
    assert str(refused.value) == (
        f"the engine other does not take {path} (model_type llada); choose dinfer or fast-dllm"
    )
    assert refused.value.engine == "other"
    assert refused.value.candidates == ("dinfer", "fast-dllm")


def test_a_refusal_tells_of_the_variable_and_of_wheels(
    site: Site, model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_engine("other", algorithms={"o": ()}, model_types=("other",))
    monkeypatch.setenv("LLADA_ENGINE", "other")
    with pytest.raises(IncompatibleEngine) as refused:
        detect_engine(model(model_type="llada"))
    assert "the engine other, which LLADA_ENGINE names, does not take" in str(refused.value)
    assert str(refused.value).endswith("; pip install llada-dinfer or llada-fastdllm")


def test_without_the_check_the_caller_is_believed(site: Site, model: WriteModel) -> None:
    add_llada_engines(site)
    assert detect_engine(model(model_type="gpt2"), engine="dinfer", check=False) == "dinfer"


def test_an_engine_that_declares_no_models_is_taken_when_named_only(site: Site, model: WriteModel) -> None:
    site.add_engine("any", algorithms={"echo": ()})
    path = model(model_type="gpt2")
    assert detect_engine(path, engine="any") == "any"
    with pytest.raises(UnsupportedModel, match="any takes what it is given"):
        detect_engine(path)


def test_an_engine_that_takes_the_model_and_cannot_run_says_why(site: Site, model: WriteModel) -> None:
    site.add_engine("fast-dllm", algorithms={"basic": ()}, model_types=("llada",), requires=("torch>=2.6",))
    path = model(model_type="llada")
    with pytest.raises(EngineUnavailable) as raised:
        detect_engine(path)
    assert str(raised.value) == (
        f"fast-dllm takes {path} (model_type llada), and cannot run here: llada-fast-dllm needs torch>=2.6, "
        "which is not installed; pip install 'torch>=2.6'"
    )
    assert detect(path).reason == str(raised.value)


def test_a_known_model_without_an_engine_names_the_wheels(site: Site, model: WriteModel) -> None:
    path = model(model_type="llada", architectures=["LLaDAModelLM"])
    with pytest.raises(UnsupportedModel) as raised:
        detect_engine(path)
    assert str(raised.value) == (
        f"no installed engine takes {path} (model_type llada, LLaDAModelLM); "
        "pip install llada-dinfer or llada-fastdllm"
    )
    assert raised.value.candidates == ("llada-dinfer", "llada-fastdllm")
    assert raised.value.model_type == "llada"


def test_an_unknown_model_names_what_the_installed_engines_take(site: Site, model: WriteModel) -> None:
    site.add_engine("e", algorithms={"echo": ()}, model_types=("mine",), architectures=("MineLM",))
    path = model(model_type="gpt2")
    with pytest.raises(UnsupportedModel) as raised:
        detect_engine(path)
    assert str(raised.value) == (
        f"no known engine takes {path} (model_type gpt2); "
        "choose a model of an installed engine: e takes mine, MineLM"
    )


def test_an_unknown_model_without_any_engine_says_how_to_get_one(site: Site, model: WriteModel) -> None:
    said = r"; choose a model of a known type \(.*, llada, .*\); no engine is installed; pip install llada-fa"
    with pytest.raises(UnsupportedModel, match=said):
        detect_engine(model(model_type="gpt2"))


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["DiffEncoderModel"]},
        {"architectures": ["NemotronLabsDiffusionVLMModel"]},
        {"model_type": "nemotron_labs_diffusion"},
        {"model_type": "ministral_dlm"},
        {"auto_map": {"AutoModel": "modeling_nvrdiff.DiffEncoder"}},
        {"auto_map": {"AutoConfig": "nvidia/x--configuration_edlm.EfficientDLMConfig"}},
        {"dlm_paradigm": "bidirectional", "mask_token_id": 100},
    ],
    ids=str,
)
def test_a_diffusion_nemotron_is_known_by_each_of_its_marks(
    site: Site, model: WriteModel, config: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedModel, match=r"; pip install llada-nemotron$"):
        detect_engine(model(**config))


@pytest.mark.parametrize("config", [{"dlm_paradigm": "x"}, {"dlm_paradigm": "x", "mask_token_id": -1}])
def test_half_of_the_marks_is_not_enough(site: Site, model: WriteModel, config: dict[str, Any]) -> None:
    assert detect(model(**config)).candidates == ()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "nemotron"}, "an autoregressive Nemotron model"),
        ({"model_type": "nemotron_h", "dlm_paradigm": "x", "mask_token_id": 3}, "an autoregressive Nemotron"),
        ({"architectures": ["NemotronHForCausalLM"]}, "an autoregressive Nemotron model"),
        (
            {"model_type": "nemotron_h", "architectures": ["NemotronHTwoTowerForCausalLM"]},
            "a TwoTower diffusion model",
        ),
        (
            {"model_type": "jet_nemotron", "auto_map": {"AutoModel": "x.NemotronTwoTower"}},
            "a TwoTower diffusion model",
        ),
        ({"model_type": "jet_nemotron"}, "an autoregressive model (Jet-Nemotron), which does not fill masks"),
        ({"architectures": ["JetNemotronForCausalLM"]}, "an autoregressive model (Jet-Nemotron)"),
        (
            {"architectures": ["Fast_dLLM_QwenForCausalLM"], "dlm_paradigm": "x", "mask_token_id": 3},
            "a Fast-dLLM v2 model, whose token shift and interface are its own",
        ),
    ],
    ids=str,
)
def test_a_model_that_shares_a_word_with_ours_is_told_what_it_is(
    site: Site, model: WriteModel, config: dict[str, Any], kind: str
) -> None:
    with pytest.raises(UnsupportedModel, match=f" is {re.escape(kind)}"):
        detect_engine(model(**config))


def test_an_engine_that_is_named_for_such_a_model_is_refused_with_what_it_is(
    site: Site, model: WriteModel
) -> None:
    add_llada_engines(site)
    with pytest.raises(IncompatibleEngine, match=r"dinfer does not take .*, which is a TwoTower .*; choose"):
        detect_engine(model(architectures=["NemotronHTwoTowerForCausalLM"]), engine="dinfer")


def hook(body: str) -> str:
    return f"""
        from llada_core import hookimpl

        @hookimpl
        def llada_detect_engine(config, engines):
            {body}
    """


def test_a_hook_comes_before_priority(site: Site, model: WriteModel) -> None:
    site.add("llada-hook", plugin=hook("return 'fast-dllm' if config.get('old') else None"))
    add_llada_engines(site)
    assert detect_engine(model(model_type="llada", old=True)) == "fast-dllm"
    assert detect_engine(model(model_type="llada")) == "dinfer"


def test_a_hook_makes_an_engine_take_a_model(site: Site, model: WriteModel) -> None:
    site.add("llada-hook", plugin=hook("return 'dinfer' if config.get('new') else None"))
    add_llada_engines(site)
    path = model(model_type="new", new=1)
    assert detect_engine(path) == "dinfer"
    assert detect_engine(path, engine="dinfer") == "dinfer"


def test_a_hook_sees_the_engines_and_cannot_change_the_config(site: Site, model: WriteModel) -> None:
    body = "assert [e.name for e in engines] == ['dinfer', 'fast-dllm']; config['x'] = 1"
    site.add("llada-hook", plugin=hook(body))
    add_llada_engines(site)
    detect(model(model_type="llada"))
    (status,) = [each for each in plugin_statuses() if each.name == "hook"]
    assert "'mappingproxy' object does not support item assignment" in (status.reason or "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "raise RuntimeError('no')",
            "llada_detect_engine failed for a model of type 'llada': RuntimeError: no",
        ),
        (
            "return 'absent'",
            "llada_detect_engine answered 'absent' for a model of type 'llada', which is no engine's name",
        ),
        ("return 3", "llada_detect_engine answered 3 for a model of type 'llada', which is no engine's name"),
    ],
)
def test_a_hook_that_fails_is_told_and_passed_over(
    site: Site, model: WriteModel, body: str, reason: str
) -> None:
    site.add("llada-hook", plugin=hook(body))
    add_llada_engines(site)
    for _ in range(2):
        assert detect_engine(model(model_type="llada")) == "dinfer"
    (status,) = [each for each in plugin_statuses() if each.name == "hook"]
    assert (status.reason or "").count(reason) == 1


def test_an_engine_that_a_hook_names_and_cannot_run_is_skipped(site: Site, model: WriteModel) -> None:
    site.add("llada-hook", plugin=hook("return 'dinfer'"))
    add_llada_engines(site, dinfer_requires=("absent",))
    with pytest.warns(EngineSkipped):
        assert detect_engine(model(model_type="llada")) == "fast-dllm"


def test_a_detection_is_data(site: Site, model: WriteModel) -> None:
    site.add_engine("fast-dllm", algorithms={"basic": ()}, model_types=("llada",), priority=10)
    path = model(model_type="llada", architectures=["LLaDAModelLM"])
    told = detect(path).as_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {"path", "model_type", "architectures", "engine", "candidates", "reason"}
    assert told["candidates"][0] == {  # type: ignore[index]
        "engine": "fast-dllm",
        "available": True,
        "reason": None,
        "priority": 10,
        "distribution": "llada-fast-dllm",
        "installed": True,
        "summary": "",
    }


def test_a_missing_folder_is_not_found(site: Site, tmp_path: Path) -> None:
    with pytest.raises(
        ModelNotFound, match=r"there is no folder .*absent; give an existing folder, or a hub id"
    ):
        detect_engine(tmp_path / "absent")


def test_a_folder_without_a_config_is_not_found(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"holds no config\.json; give the folder of a checkpoint"):
        detect_engine(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"llada"', "\x00"])
def test_a_config_that_is_no_json_object_is_told(site: Site, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelNotFound, match=r"is no checkpoint: .*config\.json .* JSON.*; download it again"):
        detect_engine(tmp_path)
