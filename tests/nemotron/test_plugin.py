"""What the engine declares, and what the registry says of it where something is missing."""

from __future__ import annotations

from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest

import llada_core
import llada_nemotron
from llada_core import ParameterError
from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry

pytestmark = pytest.mark.alone

ALGORITHMS = ["nemotron", "nemotron_ar", "nemotron_block", "nemotron_linear_spec"]


def test_the_public_names_are_these() -> None:
    assert llada_nemotron.__all__ == [
        "AutoregressiveGeneration",
        "BlockGeneration",
        "LinearSpecGeneration",
        "NativeCodeError",
        "NativeModel",
        "NemotronConfig",
        "NemotronGeneration",
        "NemotronModel",
        "NemotronNetwork",
        "UnfilledMasks",
    ]
    assert all(getattr(llada_nemotron, name).__name__ == name for name in llada_nemotron.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = llada_nemotron.nothing


def test_the_engine_declares_its_algorithms_default_and_aliases() -> None:
    engine = llada_core.get_engine("nemotron")
    assert (engine.default_algorithm, sorted(engine.algorithms)) == ("nemotron", ALGORITHMS)
    assert engine.spec.memory == "llada_nemotron.memory:estimate"
    for alias in ("nemotron_native", "nemotron_diffusion"):
        assert llada_core.get_algorithm(alias).name == "nemotron"
    assert llada_core.load_engine_class("nemotron") is llada_nemotron.NemotronModel


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_registry_hands_out_the_classes(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    kind: Any = type(algorithm)
    assert algorithm.is_available()
    assert (kind.name, kind.engine, kind.parameters) == (name, "nemotron", algorithm.parameters)
    assert kind.chat_options == ("enable_thinking",)
    assert algorithm.load_model_class() is llada_nemotron.NemotronModel


def test_only_our_own_decoder_streams() -> None:
    streaming = [name for name in ALGORITHMS if llada_core.get_algorithm_info(name).streams]
    assert streaming == ["nemotron_block"]


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        (
            "nemotron",
            {"gen_length": 128, "block_length": 32, "steps": None, "temperature": 0.0, "threshold": 0.9,
             "shift_logits": None, "causal_context": None, "seed": None, "early_stop": True,
             "max_thinking_tokens": None, "enable_thinking": False},
        ),
        (
            "nemotron_ar",
            {"gen_length": 128, "temperature": 0.0, "seed": None, "early_stop": True,
             "max_thinking_tokens": None, "enable_thinking": False},
        ),
        (
            "nemotron_linear_spec",
            {"gen_length": 128, "block_length": 32, "temperature": 0.0, "threshold": 0.0, "seed": None,
             "early_stop": True, "max_thinking_tokens": None, "enable_thinking": False},
        ),
    ],
)  # fmt: skip
def test_the_defaults_are_these(name: str, defaults: dict[str, Any]) -> None:
    assert llada_core.get_algorithm(name).get_required_args() == defaults


def test_the_effective_steps_are_told_where_they_are_in_force() -> None:
    algorithm = llada_core.get_algorithm("nemotron")

    def steps(**given: Any) -> Any:
        effective = algorithm.validate_args(gen_length=40, block_length=16, **given)
        assert algorithm.validate_args(**effective) == effective
        return effective["steps"], effective["threshold"]

    assert steps() == (None, 0.9)
    assert steps(steps=7) == (9, None)
    assert steps(steps=7, threshold=0.5) == (9, 0.5)
    assert steps(threshold=None) == (48, None)


def site(folder: Path, **versions: str | None) -> Registry:
    """A registry where this engine is installed, and else what ``versions`` says."""
    ours = {name: version(f"llada-{name}") for name in ("core", "nemotron", "runtime")}
    needs = requires("llada-nemotron") or []
    found = {f"llada-{name}": number for name, number in ours.items()} | versions
    for name, number in found.items():
        if number is not None:
            info = folder / f"{name.replace('-', '_')}-{number}.dist-info"
            info.mkdir(parents=True)
            lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {number}"]
            lines += [f"Requires-Dist: {line}" for line in needs if name == "llada-nemotron"]
            (info / "METADATA").write_text("\n".join(lines) + "\n")
            if name == "llada-nemotron":
                entry = "[llada.engines]\nnemotron = llada_nemotron.plugin\n"
                (info / "entry_points.txt").write_text(entry)
    return Registry(Installed([str(folder)]), Environment())


def test_with_all_it_needs_it_is_available(tmp_path: Path) -> None:
    registry = site(tmp_path, torch="2.6.0", transformers="4.57.0")
    assert registry.algorithms(available=True) == ALGORITHMS


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "which is not installed"), ("4.56.2", "and 4.56.2 is installed"), ("6.0.0", "and 6.0.0 is")],
)
def test_without_the_right_transformers_all_is_listed_with_the_remedy(
    tmp_path: Path, found: str | None, said: str
) -> None:
    registry = site(tmp_path, torch="2.6.0", transformers=found)
    assert (registry.algorithms(), registry.algorithms(available=True)) == (ALGORITHMS, [])
    for name in ALGORITHMS:
        reason = str(registry.algorithm(name).reason)
        assert reason.startswith("llada-nemotron needs transformers<6,>=4.57, ")
        assert said in reason
        assert reason.endswith("pip install 'transformers<6,>=4.57'")


@pytest.mark.parametrize("name", ["nemotron", "nemotron_ar", "nemotron_linear_spec"])
@pytest.mark.parametrize(
    ("given", "neutral"),
    [({"top_p": 0.9}, {"top_p": 1}), ({"top_k": 5}, {"top_k": -1}), ({"min_p": 0.1}, {"min_p": 0})],
)
def test_the_models_own_code_takes_no_filters(
    name: str, given: dict[str, Any], neutral: dict[str, Any]
) -> None:
    algorithm = llada_core.get_algorithm(name)
    ((parameter, value),) = given.items()
    with pytest.raises(ParameterError, match=rf"{name} does not take {parameter}={value}; leave it out"):
        algorithm.validate_args(**given)
    assert algorithm.validate_args(**neutral) == algorithm.validate_args()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_standard_parameters_pass_at_the_value_that_is_implemented_anyway(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    neutral = {"remasking": True, "factor": None, "steps": None, "temperature": 0, "seed": None}
    assert algorithm.validate_args(**neutral) == algorithm.validate_args()
    with pytest.raises(
        ParameterError, match=f"{name} does not take factor=1.0; leave it out, or give factor=non"
    ):
        algorithm.validate_args(factor=1.0)


def test_what_one_token_at_a_time_has_no_use_for_is_refused() -> None:
    autoregressive = llada_core.get_algorithm("nemotron_ar")
    assert autoregressive.validate_args(threshold=None) == autoregressive.validate_args()
    with pytest.raises(
        ParameterError, match=r"nemotron_ar does not take threshold=0\.9; leave it out, or give thr"
    ):
        autoregressive.validate_args(threshold=0.9)
    with pytest.raises(
        ParameterError, match=r"nemotron_ar does not take block_length=32; leave it out; .* take it"
    ):
        autoregressive.validate_args(block_length=32)
