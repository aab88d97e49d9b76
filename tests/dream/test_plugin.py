"""What the engine declares, and which values its algorithms take."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
import llada_dream
from llada_core import AlgorithmUnavailable, ParameterError
from llada_runtime.testing import small_llada
from tests.dream.dream_data import ALGORITHMS, MODELS, model_of
from tests.support.foreign import check_refused, foreign

pytestmark = pytest.mark.alone

each_algorithm = pytest.mark.parametrize("name", ALGORITHMS)


def test_the_public_names_are_these() -> None:
    assert llada_dream.__all__ == [
        "DreamConfig",
        "DreamGeneration",
        "DreamNetwork",
        "DualCacheGeneration",
        "PrefixCacheGeneration",
        "ThresholdGeneration",
    ]
    assert all(getattr(llada_dream, name).__name__ == name for name in llada_dream.__all__)


def test_the_engine_declares_its_algorithms_default_and_aliases() -> None:
    engine = llada_core.get_engine("dream")
    assert (engine.default_algorithm, sorted(engine.algorithms)) == ("dream", sorted(ALGORITHMS))
    aliases = {
        "diffusion_generate": "dream",
        "fastdllm_dream": "dream_threshold",
        "fastdllm_dream_prefix_cache": "dream_prefix_cache",
        "fastdllm_dream_dual_cache": "dream_dual_cache",
    }
    assert {alias: llada_core.get_algorithm(alias).name for alias in aliases} == aliases


@each_algorithm
def test_the_registry_hands_out_the_classes(name: str) -> None:
    algorithm, info = llada_core.get_algorithm(name), llada_core.get_algorithm_info(name)
    kind: Any = type(algorithm)
    assert algorithm.is_available()
    assert info.streams
    assert (kind.name, kind.engine, kind.parameters) == (name, "dream", info.parameters)
    assert algorithm.load_model_class() is llada_dream.DreamNetwork


_DRAWN = {"temperature": 0.0, "top_p": None, "top_k": None, "seed": None, "early_stop": True}


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        (
            "dream",
            {"gen_length": 128, "steps": 128, "alg": "origin", "alg_temp": None, "eps": 1e-3, **_DRAWN},
        ),
        (
            "dream_threshold",
            {"gen_length": 128, "steps": 4, "threshold": 0.9, "alg": "confidence_threshold", **_DRAWN},
        ),
        *(
            (
                name,
                {"gen_length": 128, "block_length": 32, "alg": "confidence_threshold", "threshold": 0.9,
                 "steps": None, "alg_temp": None, "eps": 1e-3, **_DRAWN},
            )
            for name in ("dream_prefix_cache", "dream_dual_cache")
        ),
    ],
)  # fmt: skip
def test_the_effective_defaults_are_these(name: str, defaults: dict[str, Any]) -> None:
    algorithm = llada_core.get_algorithm(name)
    effective = algorithm.validate_args()
    assert effective == defaults
    assert algorithm.validate_args(**effective) == effective


@each_algorithm
def test_the_usual_aliases_stand_for_their_parameters(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    given = {"max_new_tokens": 24, "denoising_steps": 6}
    assert algorithm.validate_args(**given) == algorithm.validate_args(gen_length=24, steps=6)


def cached(**given: Any) -> tuple[Any, ...]:
    algorithm = llada_core.get_algorithm("dream_dual_cache")
    effective = algorithm.validate_args(gen_length=40, block_length=16, **given)
    assert algorithm.validate_args(**effective) == effective
    return effective["alg"], effective["threshold"], effective["steps"]


def test_a_cached_decoder_keeps_the_parameter_that_is_in_force() -> None:
    by_threshold, by_schedule = "confidence_threshold", "entropy"
    assert cached() == (by_threshold, 0.9, None)
    assert cached(threshold=0.5) == (by_threshold, 0.5, None)
    assert cached(steps=7) == (by_schedule, None, 9)
    assert cached(threshold=None) == (by_schedule, None, 42)
    assert cached(steps=7, threshold=0.5) == (by_threshold, 0.5, None)
    assert cached(alg=by_schedule) == (by_schedule, None, 42)
    assert cached(alg=by_schedule, threshold=None, steps=6) == (by_schedule, None, 6)
    assert cached(alg=by_threshold, steps=None) == (by_threshold, 0.9, None)
    assert cached(alg=by_threshold, threshold=0.5) == (by_threshold, 0.5, None)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        (
            "dream",
            {"alg_temp": 0.3},
            "alg_temp=0.3 cannot be: alg='origin' draws positions evenly; leave",
        ),
        ("dream", {"alg": "confidence_threshold"}, "give one of origin, entropy, maskgit_plus, topk_margin"),
        ("dream", {"steps": 0}, "steps=0 is out of range; give an integer, 1 or more, or none"),
        ("dream", {"steps": 10**12}, "are more forwards than any answer has tokens; give 131072 at most"),
        ("dream", {"gen_length": 200_000}, "gen_length=200000 is longer than any answer; give 131072 at"),
        ("dream_dual_cache", {"gen_length": 200_000, "alg": "entropy"}, "gen_length=200000 is longer"),
        ("dream", {"eps": 1.5}, "eps=1.5 is out of range; give a number from 0 to 1"),
        ("dream", {"alg_temp": -1}, "alg_temp=-1 is out of range; give a number, 0 or more, or none"),
        ("dream", {"top_p": 0}, "top_p=0 is out of range; give a number above 0 to 1, or none"),
        ("dream", {"top_k": 2.5}, "top_k=2.5 has the wrong type; give an integer, -1 or more, or none"),
        ("dream", {"threshold": 0.9}, "dream does not take threshold=0.9; leave it out"),
        ("dream", {"block_length": 8}, "dream does not take block_length=8; leave it out"),
        ("dream", {"min_p": 0.1}, "dream does not take min_p=0.1; leave it out"),
        ("dream", {"mask_token_id": 3}, "dream does not take mask_token_id"),
        ("dream_threshold", {"threshold": None}, "threshold=None has the wrong type; give a number from 0"),
        ("dream_threshold", {"alg": "entropy"}, "alg='entropy' is not accepted; give one of confidence_thr"),
        ("dream_threshold", {"alg_temp": 0.5}, "dream_threshold does not take alg_temp"),
        ("dream_dual_cache", {"alg_temp": 0.5}, "alg_temp=0.5 cannot be: a threshold draws no positions"),
        ("dream_dual_cache", {"eps": 0.1}, "eps=0.1 cannot be: a threshold has no schedule; leave it out"),
        (
            "dream_dual_cache",
            {"alg": "entropy", "confidence_threshold": 0.9},
            "threshold=0.9 cannot be: alg='entropy' follows a schedule; leave it out, or give alg",
        ),
        (
            "dream_prefix_cache",
            {"alg": "confidence_threshold", "steps": 6},
            "steps=6 cannot be: alg='confidence_threshold' has no schedule; leave it out, or give alg",
        ),
        (
            "dream_prefix_cache",
            {"alg": "confidence_threshold", "threshold": None},
            "threshold=None cannot be: alg='confidence_threshold' needs one; leave it out",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError) as refused:
        llada_core.get_algorithm(name).validate_args(**given)
    assert told in str(refused.value)


@each_algorithm
def test_standard_parameters_pass_at_the_value_that_is_implemented_anyway(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    neutral = {"remasking": True, "factor": None, "steps": None, "min_p": 0, "top_k": -1, "top_p": 1.0}
    assert {**algorithm.validate_args(**neutral), "top_k": None, "top_p": None} == algorithm.validate_args()


@each_algorithm
def test_a_network_whose_logits_are_of_their_own_column_is_refused(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    assert algorithm.unfit_reason(model_of(MODELS[0])) is None
    with pytest.raises(AlgorithmUnavailable, match="decides each position by the logits of the one before"):
        algorithm.generate(small_llada(), [[5, 6]], gen_length=4)


@pytest.mark.parametrize("name", foreign(ALGORITHMS))
def test_a_decoder_of_another_engine_refuses_these_networks(name: str) -> None:
    check_refused(name, model_of(MODELS[0]))
