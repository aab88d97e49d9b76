"""The engine's classes: parameters, ragged batches, subclassing, and models that run by their own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
import llada_fastdllm
from llada_core import (
    GenerationAlgorithm,
    ParameterError,
)
from llada_fastdllm import BasicGeneration, DualCacheGeneration, FastDLLMGeneration, PrefixCacheGeneration
from llada_runtime import BestFirst, Factor, LLaDAModel, Quota, StepAlgorithm, Threshold, drain
from llada_runtime.testing import MASK, write_llada

pytestmark = pytest.mark.alone

ALGORITHMS = ["basic", "prefix_cache", "dual_cache"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llada(tmp_path_factory.mktemp("llada"), scale=0.4, max_sequence_length=256)


@pytest.fixture(scope="module")
def model(folder: Path) -> LLaDAModel:
    return LLaDAModel.from_pretrained(folder, device="cpu")


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> GenerationAlgorithm:
    return llada_core.get_algorithm(request.param)


def test_the_public_classes_are_these() -> None:
    assert llada_fastdllm.__all__ == [
        "BasicGeneration",
        "DualCacheGeneration",
        "FastDLLMGeneration",
        "PrefixCacheGeneration",
        "RunsByOwnCode",
    ]


def test_the_engine_declares_its_algorithms_default_and_aliases() -> None:
    engine = llada_core.get_engine("fast-dllm")
    assert engine.default_algorithm == "dual_cache"
    assert sorted(spec.name for spec in engine.spec.algorithms) == sorted(ALGORITHMS)
    assert engine.spec.memory == "llada_runtime.memory:estimate"
    aliases = {"no_cache": "basic", "simple": "basic", "prefix": "prefix_cache", "cache": "prefix_cache",
               "dual": "dual_cache", "double_cache": "dual_cache"}  # fmt: skip
    assert {alias: llada_core.get_algorithm(alias).name for alias in aliases} == aliases


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (BasicGeneration, "basic"),
        (PrefixCacheGeneration, "prefix_cache"),
        (DualCacheGeneration, "dual_cache"),
    ],
)
def test_the_classes_are_what_the_registry_hands_out(cls: type, name: str) -> None:
    assert type(llada_core.get_algorithm(name)) is cls
    assert issubclass(cls, FastDLLMGeneration)
    assert cls().name == name


def test_the_programmatic_example_runs_as_it_stands(model: LLaDAModel) -> None:
    prompt_tensor = torch.tensor([[1, 2, 3]])
    algorithm = llada_core.get_algorithm("prefix_cache")
    assert algorithm
    assert algorithm.is_available()
    output, nfe = algorithm.generate(
        model=model, prompt=prompt_tensor, steps=16, gen_length=128, block_length=32,
        temperature=1.0, remasking=True, threshold=0.95, factor=1.0,
    )  # fmt: skip
    assert output.shape == (1, 131)
    assert output.dtype == torch.int64
    assert 4 <= nfe <= 128


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({}, {"basic": Quota(32), "other": Threshold(0.9)}),
        ({"steps": 8}, Quota(2)),
        ({"steps": 9}, Quota(3)),
        ({"steps": 1}, Quota(1)),
        ({"threshold": 0.5}, Threshold(0.5)),
        ({"threshold": 0.5, "steps": 8}, Threshold(0.5)),
        ({"threshold": None}, Quota(32)),
        ({"factor": 2.0}, Factor(2.0)),
        ({"factor": 2.0, "threshold": 0.5, "steps": 3}, Factor(2.0)),
        ({"gen_length": 100, "threshold": None}, Quota(25)),
        ({"gen_length": 97, "threshold": None}, Quota(25)),
    ],
    ids=str,
)
def test_factor_wins_over_threshold_and_threshold_over_steps(
    algorithm: Any, given: dict[str, Any], rule: Any
) -> None:
    expected = rule if not isinstance(rule, dict) else rule.get(algorithm.name, rule["other"])
    assert algorithm.rule(algorithm.validate_args(**given)) == expected


def test_the_effective_values_name_only_the_rule_in_force(algorithm: Any) -> None:
    def values(**given: Any) -> dict[str, Any]:
        effective = algorithm.validate_args(**given)
        return {name: effective[name] for name in ("steps", "threshold", "factor")}

    assert values(steps=9, max_tokens=64, threshold=None) == {"steps": 10, "threshold": None, "factor": None}
    assert values(steps=9, threshold=0.8) == {"steps": None, "threshold": 0.8, "factor": None}
    assert values(factor=1, threshold=0.8) == {"steps": None, "threshold": None, "factor": 1.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"block_length": 0}, "block_length"),
        ({"threshold": 2}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"factor": 0}, "factor"),
        ({"temperature": -1}, "temperature"),
        ({"remasking": "always"}, "remasking"),
        ({"steps": 0}, "steps"),
        ({"gen_length": "many"}, "gen_length"),
        ({"cfg_scale": 2.0}, "cfg_scale"),
        ({"early_stop": 1}, "early_stop"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    algorithm: Any, model: LLaDAModel, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        algorithm.generate(model, torch.tensor([[1]]), **given)


def test_left_padded_rows_answer_as_if_alone(algorithm: Any, model: LLaDAModel) -> None:
    prompts = [[1, 2, 3, 4, 5], [6], [7, 8, 9]]
    padded = torch.tensor([[0] * (5 - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (5 - len(p)) + [1] * len(p) for p in prompts])
    options = {"gen_length": 12, "block_length": 4, "threshold": 0.4}
    output, nfe = algorithm.generate(model, padded, attention_mask=mask, **options)
    alone = [algorithm.generate(model, torch.tensor(p), **options) for p in prompts]
    assert torch.equal(output[:, :5], padded)
    assert [row[5:].tolist() for row in output] == [
        ids[0, len(p) :].tolist() for p, (ids, _) in zip(prompts, alone, strict=True)
    ]
    assert nfe == max(count for _, count in alone)


@pytest.mark.parametrize(
    ("prompt", "mask", "message"),
    [
        (torch.tensor([[1, 2]]), torch.tensor([[1, 0]]), "pad prompts on the left only"),
        (torch.tensor([[1, 2]]), torch.tensor([[1]]), "must be equal"),
        (torch.tensor([[1, 2]]), torch.tensor([[0, 0]]), "the prompt is empty"),
        (torch.zeros(1, 0, dtype=torch.int64), None, "the prompt is empty"),
        (torch.tensor([[0.5]]), None, "give ids as integers, such as int64"),
        (torch.tensor([[1, MASK]]), None, "mask token"),
        (torch.ones(1, 1000, dtype=torch.int64), None, "the prompt has 1000 tokens and the model takes 256"),
    ],
)
def test_a_bad_prompt_is_refused(
    algorithm: Any, model: LLaDAModel, prompt: Any, mask: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        algorithm.generate(model, prompt, attention_mask=mask)


def test_rows_of_one_seed_differ_and_can_be_had_alone(model: LLaDAModel) -> None:
    algorithm = llada_core.get_algorithm("dual_cache")
    options = {"gen_length": 16, "block_length": 8, "temperature": 5.0, "early_stop": False}
    both, _ = algorithm.generate(model, torch.tensor([[1, 2], [1, 2]]), seed=3, **options)
    second, _ = algorithm.generate(model, torch.tensor([[1, 2]]), seed=4, **options)
    assert both[0].tolist() != both[1].tolist()
    assert both[1].tolist() == second[0].tolist()


def test_random_remasking_fills_in_another_order(algorithm: Any, model: LLaDAModel) -> None:
    def order(**options: Any) -> list[tuple[int, ...]]:
        params = algorithm.validate_args(
            gen_length=16, block_length=16, steps=16, early_stop=False, **options
        )
        sequence = algorithm.sequence(model, [1, 2, 3], params)
        return [step.positions for step in drain(model, [sequence], rows=32)]

    assert order(remasking="random", seed=1) == order(remasking=False, seed=1)
    assert order(remasking="random", seed=1) != order(remasking=True)
    assert sorted(order(remasking="random", seed=1)) == [(n,) for n in range(16)]


def test_a_third_party_subclasses_and_keeps_loading_and_validation(folder: Path) -> None:
    class AtMostTwo(BestFirst):
        @classmethod
        def counts(cls, sequences: Any, ranked: torch.Tensor, open_counts: torch.Tensor) -> torch.Tensor:
            return open_counts.clamp(max=2)

    class Pairs(DualCacheGeneration):
        name = "pairs"

        def rule(self, params: Any) -> AtMostTwo:
            return AtMostTwo()

    algorithm = Pairs()
    model = algorithm.load_model_from_hf(folder, device="cpu")
    _, nfe = algorithm.generate(
        model, torch.tensor([[1, 2]]), gen_length=16, block_length=8, early_stop=False
    )
    assert nfe == 8
    with pytest.raises(ParameterError, match="block_length"):
        algorithm.generate(model, torch.tensor([[1, 2]]), block_length=0)


def test_a_subclass_may_declare_fewer_parameters(model: LLaDAModel) -> None:
    class ThresholdOnly(DualCacheGeneration):
        parameters = tuple(
            p for p in DualCacheGeneration.parameters if p.name in ("gen_length", "block_length", "threshold")
        )

    ids, _ = ThresholdOnly().generate(model, torch.tensor([[1, 2]]), gen_length=8, block_length=4)
    assert ids.shape == (1, 10)


def test_a_step_algorithm_without_a_policy_cannot_be_made() -> None:
    class Half(StepAlgorithm, GenerationAlgorithm):
        def rule(self, params: Any) -> Quota:
            return Quota(1)

    with pytest.raises(TypeError, match="policy"):
        Half()  # type: ignore[abstract]


def test_our_own_network_is_fit_for_all_algorithms(folder: Path) -> None:
    lm = llada_core.load_model(folder, engine="fast-dllm", device="cpu")
    assert lm.algorithms().items() >= {"basic": None, "dual_cache": None, "prefix_cache": None}.items()


def test_prompts_of_one_seed_differ_and_can_be_had_alone(folder: Path) -> None:
    lm = llada_core.load_model(folder, engine="fast-dllm", device="cpu")
    options = {"gen_length": 16, "block_length": 8, "temperature": 5.0, "early_stop": False}
    first, second = lm.generate([[1, 2], [1, 2]], seed=3, **options)
    assert first.token_ids != second.token_ids
    assert lm.generate([1, 2], seed=4, **options).token_ids == second.token_ids


def test_after_the_largest_seed_comes_the_first(model: LLaDAModel) -> None:
    algorithm = llada_core.get_algorithm("dual_cache")
    options = {"temperature": 1.0, "gen_length": 8, "block_length": 4}
    both, _ = algorithm.generate(model, torch.tensor([[1], [2]]), seed=2**64 - 1, **options)
    second, _ = algorithm.generate(model, torch.tensor([[2]]), seed=0, **options)
    assert both[1].tolist() == second[0].tolist()


@pytest.mark.parametrize("name", ["basic", "prefix_cache", "dual_cache"])
def test_the_call_of_the_original_registry_runs_verbatim(name: str, tmp_path: Path) -> None:
    folder = write_llada(tmp_path, max_sequence_length=256)
    model = llada_core.get_algorithm(name).load_model_from_hf(folder, device="cpu")
    output, nfe = llada_core.get_algorithm(name).generate(
        model=model,
        prompt=torch.tensor([[1, 2, 3]]),
        steps=16,
        gen_length=128,
        block_length=32,
        temperature=1.0,
        remasking=True,
        threshold=0.95,
        factor=1.0,
    )
    assert output.shape == (1, 3 + 128)
    assert nfe >= 4
    values = llada_core.get_algorithm(name).validate_args(steps=16, threshold=0.95, factor=1.0)
    assert (values["steps"], values["threshold"], values["factor"]) == (None, None, 1.0)
