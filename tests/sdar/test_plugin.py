"""What the engine declares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
import llada_sdar
from llada_core import AlgorithmUnavailable, ParameterError
from llada_runtime import Transformer
from llada_sdar import SDARConfig, SDARNetwork
from llada_sdar.generation import BLOCK_LENGTH
from tests.sdar.tiny_models import DENSE, write_model
from tests.support.foreign import check_refused, foreign

pytestmark = pytest.mark.alone

ALGORITHMS = ["sdar", "sdar_lmdeploy", "sdar_low_confidence"]


def test_the_public_names_are_these() -> None:
    assert llada_sdar.__all__ == [
        "FinishedBlocks",
        "LMDeployGeneration",
        "LowConfidenceGeneration",
        "SDARConfig",
        "SDARGeneration",
        "SDARNetwork",
    ]
    assert all(getattr(llada_sdar, name).__name__ == name for name in llada_sdar.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = llada_sdar.nothing


def test_the_engine_declares_its_algorithms_default_and_aliases() -> None:
    engine = llada_core.get_engine("sdar")
    assert (engine.default_algorithm, sorted(engine.algorithms)) == ("sdar", ALGORITHMS)
    assert llada_core.get_engine("trado").name == "sdar"
    for alias in ("sdar_generate", "block_diffusion_generate"):
        assert llada_core.get_algorithm(alias).name == "sdar"
    assert llada_core.get_algorithm("sdar_sglang").name == "sdar_low_confidence"
    assert llada_core.load_engine_class("sdar") is llada_sdar.SDARNetwork


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_registry_hands_out_the_classes(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    kind: Any = type(algorithm)
    assert algorithm.is_available()
    assert (kind.name, kind.engine, kind.parameters) == (name, "sdar", algorithm.parameters)
    assert algorithm.description == kind.description
    assert algorithm.info.streams


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        (
            "sdar",
            {"gen_length": 128, "block_length": None, "denoising_steps": None,
             "remasking_strategy": "low_confidence_dynamic", "threshold": 0.85, "eb_threshold": None,
             "temperature": 0.0, "top_p": None, "top_k": None, "min_p": None, "do_sample": True, "seed": None,
             "early_stop": True, "enable_thinking": True},
        ),
        (
            "sdar_lmdeploy",
            {"gen_length": 128, "block_length": None, "denoising_steps": None,
             "remasking_strategy": "low_confidence_dynamic", "threshold": 0.85, "temperature": 0.0,
             "top_p": None, "top_k": None, "min_p": None, "seed": None, "early_stop": True,
             "enable_thinking": True},
        ),
        (
            "sdar_low_confidence",
            {"gen_length": 128, "block_length": None, "threshold": 0.95, "early_stop": True,
             "enable_thinking": True},
        ),
    ],
)  # fmt: skip
def test_the_defaults_are_these(name: str, defaults: dict[str, Any]) -> None:
    assert llada_core.get_algorithm(name).get_required_args() == defaults


def test_published_names_are_taken() -> None:
    sdar, lmdeploy = (llada_core.get_algorithm(name) for name in ("sdar", "sdar_lmdeploy"))
    given = {"block_size": 8, "confidence_threshold": 0.5, "max_new_tokens": 9}
    ours = {"block_length": 8, "threshold": 0.5, "gen_length": 9}
    assert sdar.validate_args(**given) == sdar.validate_args(**ours)
    theirs = {
        "dllm_block_length": 8, "dllm_unmasking_strategy": "sequential", "dllm_denoising_steps": 2,
    }  # fmt: skip
    found = lmdeploy.validate_args(**theirs)
    assert (found["block_length"], found["remasking_strategy"], found["denoising_steps"]) == (
        8,
        "sequential",
        2,
    )
    found = lmdeploy.validate_args(unmasking_strategy="low_confidence_dynamic", dllm_confidence_threshold=0.5)
    assert found == lmdeploy.validate_args(threshold=0.5)


@pytest.mark.parametrize(
    ("strategy", "read"),
    [
        ("low_confidence_dynamic", {"threshold", "denoising_steps"}),
        ("low_confidence_static", {"denoising_steps"}),
        ("sequential", {"denoising_steps"}),
        ("entropy_bounded", {"eb_threshold"}),
    ],
)
def test_what_a_strategy_does_not_read_is_refused_by_name(strategy: str, read: set[str]) -> None:
    given, algorithm = {"threshold": 0.5, "eb_threshold": 0.2, "denoising_steps": 2}, "sdar"
    refuses_all_but(read, given, algorithm, strategy)
    sdar = llada_core.get_algorithm(algorithm)
    found = sdar.validate_args(
        remasking_strategy=strategy, **{name: value for name, value in given.items() if name in read}
    )
    assert {name for name in given if found[name] is not None} == read
    assert sdar.validate_args(**found) == found


@pytest.mark.parametrize(
    ("strategy", "read"),
    [
        ("low_confidence_dynamic", {"threshold"}),
        ("low_confidence_static", {"dllm_denoising_steps"}),
        ("sequential", {"dllm_denoising_steps"}),
    ],
)
def test_so_it_is_in_the_words_of_lmdeploy(strategy: str, read: set[str]) -> None:
    given = {"threshold": 0.5, "dllm_denoising_steps": 2}
    refuses_all_but(read, given, "sdar_lmdeploy", strategy)


def refuses_all_but(read: set[str], given: dict[str, Any], name: str, strategy: str) -> None:
    """What a strategy does not read may be none, and nothing else, whatever the default is."""
    algorithm = llada_core.get_algorithm(name)
    for unread in given.keys() - read:
        asked = {"remasking_strategy": strategy, unread: given[unread]}
        canonical = unread.removeprefix("dllm_")
        with pytest.raises(ParameterError) as refused:
            algorithm.validate_args(**asked)
        assert (refused.value.parameter, refused.value.value) == (canonical, given[unread])
        told = f"{canonical}={given[unread]} is not read with remasking_strategy={strategy!r}; leave it out"
        assert told in str(refused.value)
        asked[unread] = None
        assert algorithm.validate_args(**asked) == algorithm.validate_args(remasking_strategy=strategy)


def test_a_default_that_is_given_is_given() -> None:
    with pytest.raises(ParameterError, match=r"threshold=0\.85 is not read with remasking_strategy='seq"):
        llada_core.get_algorithm("sdar").validate_args(remasking_strategy="sequential", threshold=0.85)


@pytest.mark.parametrize("bound", [{}, {"eb_threshold": None}])
def test_no_bound_of_entropies_is_the_published_one_where_it_is_read(bound: dict[str, None]) -> None:
    algorithm = llada_core.get_algorithm("sdar")
    assert algorithm.validate_args(remasking_strategy="entropy_bounded", **bound)["eb_threshold"] == 0.35
    assert algorithm.validate_args(**bound)["eb_threshold"] is None


@pytest.mark.parametrize("name", ["sdar", "sdar_lmdeploy"])
def test_no_number_of_steps_is_one_a_column_where_it_is_read(name: str, tmp_path: Path) -> None:
    lm = llada_core.load_model(write_model(tmp_path), device="cpu")
    asked: dict[str, Any] = {"remasking_strategy": "sequential", "denoising_steps": None}
    for width in (4, 8):
        told = lm.generate([5, 6], algorithm=name, gen_length=8, block_length=width, **asked).parameters
        assert (told["block_length"], told["denoising_steps"]) == (width, width)
    told = lm.algorithm(name).validate_args(**asked)
    assert told["denoising_steps"] == told["block_length"] == BLOCK_LENGTH
    assert llada_core.get_algorithm(name).validate_args(**asked)["denoising_steps"] is None


def test_steps_of_a_whole_answer_are_not_taken_for_those_of_a_block() -> None:
    for name in ALGORITHMS:
        algorithm = llada_core.get_algorithm(name)
        with pytest.raises(ParameterError, match=rf"{name} does not take steps=8; leave it out"):
            algorithm.validate_args(steps=8)
        assert algorithm.validate_args(steps=None, factor=None, remasking=True) == algorithm.validate_args()


def test_what_always_takes_the_likeliest_takes_no_temperature() -> None:
    with pytest.raises(ParameterError, match=r"sdar_low_confidence does not take temperature=0\.5"):
        llada_core.get_algorithm("sdar_low_confidence").validate_args(temperature=0.5)


def test_listing_the_engine_imports_no_torch() -> None:
    program = (
        "import sys; from llada_sdar.plugin import llada_engines; list(llada_engines());"
        "assert {'torch', 'transformers', 'llada_runtime'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", foreign(ALGORITHMS))
def test_a_decoder_of_another_engine_refuses_these_networks(name: str) -> None:
    check_refused(name, random_network())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_network_of_another_family_is_refused(name: str) -> None:
    """One that is read alike, too: block-causal, and its logits in their column."""
    alike = type("OtherNetwork", (Transformer,), dict(vars(SDARNetwork)))
    with pytest.raises(
        AlgorithmUnavailable, match="is for a SDARNetwork, and this network is a OtherNetwork"
    ):
        llada_core.get_algorithm(name).generate(random_network(alike), [[5, 6]], gen_length=4)


def random_network(kind: Any = SDARNetwork) -> Any:
    return kind(SDARConfig.from_dict(DENSE), device=torch.device("meta"), dtype=torch.float32)
