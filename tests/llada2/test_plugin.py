"""What the engine declares: names, aliases, defaults, and which parameters contradict each other."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import llada_core
import llada_llada2
from llada_core import AlgorithmUnavailable, ParameterError
from llada_llada2 import LLaDA2Config, LLaDA2Network
from llada_runtime import Transformer
from tests.llada2.golden_data import ALGORITHMS
from tests.llada2.random_rows import NAMES
from tests.llada2.tiny_models import CONFIG
from tests.support.foreign import check_refused, foreign

pytestmark = pytest.mark.alone

_DRAWN = {"temperature": 0.0, "top_p": None, "top_k": None, "min_p": None, "seed": None}
_LENGTHS = {"gen_length": 128, "block_length": 32, "early_stop": True}
DEFAULTS: dict[str, dict[str, Any]] = {
    "llada2": {
        **_LENGTHS, **_DRAWN, "steps": 32, "minimal_topk": 1, "threshold": 0.95, "eos_early_stop": False,
    },
    "llada2_edit": {
        **_LENGTHS, **_DRAWN, "threshold": 0.95, "editing_threshold": 0.9, "max_post_steps": 16,
        "num_to_transfer": 1,
    },
    "llada2_low_confidence": {**_LENGTHS, "threshold": 0.95},
    "llada2_joint_threshold": {
        **_LENGTHS, "threshold": 0.5, "edit_threshold": 0.0, "max_post_edit_steps": 16, "penalty_lambda": 0.0,
    },
    "llada2_dinfer": {**_LENGTHS, **_DRAWN, "threshold": 0.9, "maximum_unroll": 4, "expected_tpf": 8},
}  # fmt: skip

each_algorithm = pytest.mark.parametrize("name", NAMES)


def test_the_public_names_are_these() -> None:
    assert llada_llada2.__all__ == [
        "DInferGeneration",
        "EditGeneration",
        "JointThresholdGeneration",
        "LLaDA2Config",
        "LLaDA2Generation",
        "LLaDA2Network",
        "LowConfidenceGeneration",
    ]
    assert all(getattr(llada_llada2, name).__name__ == name for name in llada_llada2.__all__)


def test_the_engine_declares_its_algorithms_default_and_aliases() -> None:
    engine = llada_core.get_engine("llada2")
    assert (engine.default_algorithm, sorted(engine.algorithms)) == ("llada2", NAMES)
    assert engine.spec.memory == "llada_llada2.config:LLaDA2Config.estimate"
    assert llada_core.load_engine_class("llada2") is llada_llada2.LLaDA2Network
    for alias, name in ALGORITHMS.items():
        assert llada_core.get_algorithm(alias).name == name


@each_algorithm
def test_the_registry_hands_out_the_classes(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    kind: Any = type(algorithm)
    info = llada_core.get_algorithm_info(name)
    assert algorithm.is_available()
    assert (kind.name, kind.engine, kind.parameters) == (name, "llada2", algorithm.parameters)
    assert kind.description == info.description
    assert info.streams
    assert algorithm.load_model_class() is llada_llada2.LLaDA2Network


@each_algorithm
def test_the_defaults_are_these(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    assert algorithm.get_required_args() == DEFAULTS[name]
    assert algorithm.validate_args(**DEFAULTS[name]) == DEFAULTS[name]


@pytest.mark.parametrize(
    ("name", "given", "means"),
    [
        ("llada2_edit", {"edit_threshold": 0.3}, {"editing_threshold": 0.3}),
        ("llada2_edit", {"max_post_edit_steps": 2}, {"max_post_steps": 2}),
        ("llada2_joint_threshold", {"editing_threshold": 0.3}, {"edit_threshold": 0.3}),
        ("llada2_joint_threshold", {"max_post_steps": 2}, {"max_post_edit_steps": 2}),
        ("llada2", {"denoising_steps": 8, "block_size": 16}, {"steps": 8, "block_length": 16}),
        ("llada2", {"steps": None}, {"steps": 32}),
        ("llada2_low_confidence", {"temperature": 0.0, "seed": None, "steps": None}, {}),
    ],
)
def test_other_names_and_neutral_values_are_understood(
    name: str, given: dict[str, Any], means: dict[str, Any]
) -> None:
    algorithm = llada_core.get_algorithm(name)
    assert algorithm.validate_args(**given) == algorithm.validate_args(**means)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("llada2", {"eos_early_stop": True, "early_stop": False}, "at an end token, and early_stop=False"),
        ("llada2", {"editing_threshold": 0.5}, "does not take editing_threshold; did you mean threshold"),
        ("llada2", {"steps": 0}, "steps=0 is out of range; give an integer, 1 or more"),
        ("llada2_edit", {"steps": 8}, "llada2_edit does not take steps=8"),
        ("llada2_edit", {"minimal_topk": 1}, "llada2_edit does not take minimal_topk; it takes"),
        ("llada2_edit", {"editing_threshold": 1.5}, "editing_threshold=1.5 is out of range"),
        ("llada2_edit", {"max_post_steps": -1}, "max_post_steps=-1 is out of range"),
        ("llada2_edit", {"max_post_steps": 10**9}, "max_post_steps=1000000000 is out of range.*0 to 1024"),
        ("llada2_joint_threshold", {"max_post_steps": 1025}, "max_post_edit_steps=1025 is out of range"),
        ("llada2_edit", {"num_to_transfer": 0}, "num_to_transfer=0 is out of range"),
        ("llada2_joint_threshold", {"penalty_lambda": -1.0}, "penalty_lambda=-1.0 is out of range"),
        ("llada2_joint_threshold", {"temperature": 0.5}, "does not take temperature=0.5"),
        ("llada2_low_confidence", {"top_k": 5}, "llada2_low_confidence does not take top_k=5"),
        ("llada2_dinfer", {"threshold": None}, "threshold=None has the wrong type"),
        ("llada2_dinfer", {"maximum_unroll": 0}, "maximum_unroll=0 is out of range"),
    ],
)  # fmt: skip
def test_what_it_does_not_take_is_an_error_with_the_remedy(
    name: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm(name).validate_args(**given)


@each_algorithm
@pytest.mark.parametrize(
    "names", [["gen_length"], ["gen_length", "block_length"], ["gen_length", "threshold"]]
)
def test_a_decoder_of_a_user_may_declare_fewer_parameters(
    lm: llada_core.LoadedModel, name: str, names: list[str]
) -> None:
    declared = tuple(map(llada_core.standard, names))
    kind: Any = type(llada_core.get_algorithm(name))
    own = {"name": "few", "engine": "llada2", "parameters": declared}
    undo = llada_core.register_algorithm(type("Few", (kind,), own))
    try:
        assert lm.generate([20, 21], algorithm="few", max_tokens=4).nfe
    finally:
        undo()


def test_without_a_threshold_the_schedule_alone_decides(lm: llada_core.LoadedModel) -> None:
    """Four steps of a block of eight: two a forward."""
    asked = {"gen_length": 8, "block_length": 8, "steps": 4, "threshold": None, "early_stop": False}
    steps = list(lm.stream(list(range(20, 28)), algorithm="llada2", **asked))
    assert [len(step.positions) for step in steps] == [2, 2, 2, 2]


def test_listing_needs_no_torch() -> None:
    program = (
        "import sys, llada_llada2.plugin as plugin; list(plugin.llada_engines());"
        "assert {'torch', 'transformers', 'llada_runtime'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", foreign(NAMES))
def test_a_decoder_of_another_engine_refuses_these_networks(name: str) -> None:
    check_refused(name, random_network())


@each_algorithm
def test_a_network_of_another_family_is_refused(name: str) -> None:
    """One that is read alike, too: block-causal, and its logits in their column."""
    alike = type("OtherNetwork", (Transformer,), dict(vars(LLaDA2Network)))
    with pytest.raises(AlgorithmUnavailable, match="is for a LLaDA2Network, and this network is a Other"):
        llada_core.get_algorithm(name).generate(random_network(alike), [[5, 6]], gen_length=4)


def random_network(kind: Any = LLaDA2Network) -> Any:
    return kind(LLaDA2Config.from_dict(CONFIG), device=torch.device("meta"), dtype=torch.float32)
