"""Decoders that load as Fast-dLLM's and have a ``generate`` of their own: that is what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from llada_core import (
    GenerationError,
    InvalidSpec,
    LoadedModel,
    ParameterError,
    UsageError,
    load_model,
    register_algorithm,
)
from llada_core.registry import using
from llada_core.testing import ConformanceError, check_algorithm
from llada_fastdllm import BasicGeneration, DualCacheGeneration, FastDLLMGeneration
from llada_runtime.testing import small_llada, write_llada

CALLS: list[Mapping[str, Any]] = []
STANDARD_CALL = {
    "steps": 16,
    "gen_length": 128,
    "block_length": 32,
    "temperature": 1.0,
    "remasking": True,
    "threshold": 0.95,
    "factor": 1.0,
}


def my_generate_function(
    model: Any,
    prompt: torch.Tensor,
    steps: int = 128,
    gen_length: int = 128,
    block_length: int = 128,
    temperature: float = 0.0,
    remasking: str = "low_confidence",
    threshold: float | None = None,
    factor: float | None = None,
) -> tuple[torch.Tensor, int]:
    """The signature of Fast-dLLM's own functions."""
    CALLS.append(dict(locals()))
    return torch.cat((prompt, prompt.new_full((len(prompt), gen_length), 5)), dim=1), steps


class MyAlgorithm(FastDLLMGeneration):
    def __init__(self) -> None:
        super().__init__(name="my_algorithm", description="My custom Fast-dLLM algorithm")

    def generate(self, model: Any, prompt: Any, **kwargs: Any) -> Any:
        validated_args = self.validate_args(**kwargs)
        return my_generate_function(model, prompt, **validated_args)

    def is_available(self) -> bool:
        return my_generate_function is not None


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    CALLS.clear()
    with using(None):
        yield


@pytest.fixture
def lm(tmp_path: Path) -> LoadedModel:
    return load_model(write_llada(tmp_path, max_sequence_length=256), engine="fast-dllm", device="cpu")


def test_the_recipe_runs_as_it_is_written(lm: LoadedModel) -> None:
    register_algorithm(MyAlgorithm(), aliases=["my_custom"])  # type: ignore[abstract]
    info = llada_core.get_algorithm_info("my_custom")
    assert (info.engine, info.streams, info.available) == ("fast-dllm", False, True)
    assert lm.algorithms()["my_algorithm"] is None
    result = lm.generate([1, 2], algorithm="my_custom", **STANDARD_CALL)
    assert (result.token_ids, result.nfe) == ((5,) * 128, 16)
    assert {name: CALLS[0][name] for name in STANDARD_CALL} == STANDARD_CALL | {"remasking": "low_confidence"}


def test_it_runs_beside_decoders_that_yield_steps(lm: LoadedModel) -> None:
    register_algorithm(MyAlgorithm())  # type: ignore[abstract]
    alone = lm.generate([1, 2], algorithm="dual_cache", max_tokens=8)
    mine, other = lm.generate_batch(
        [
            llada_core.GenerationRequest(prompt=[1, 2], algorithm=name, parameters={"max_tokens": 8})
            for name in ("my_algorithm", "dual_cache")
        ]
    )
    assert (mine.token_ids, mine.nfe) == ((5,) * 8, 8)
    assert (other.token_ids, other.nfe) == (alone.token_ids, alone.nfe)


def test_what_nobody_gave_is_left_to_the_function(lm: LoadedModel) -> None:
    register_algorithm(MyAlgorithm())  # type: ignore[abstract]
    lm.generate([1, 2], algorithm="my_algorithm", max_tokens=40, block_length=16)
    assert CALLS[0]["steps"] == 42  # a multiple of three blocks; none would be no number
    assert (CALLS[0]["threshold"], CALLS[0]["factor"]) == (0.9, None)


def test_what_upstream_has_no_names_for_reaches_the_function_only_where_it_is_given(lm: LoadedModel) -> None:
    class Telling(FastDLLMGeneration):
        name = "telling"

        def generate(self, model: Any, prompt: Any, **kwargs: Any) -> Any:
            CALLS.append(kwargs)
            upstream = {name: kwargs[name] for name in STANDARD_CALL}
            return my_generate_function(model, prompt, **upstream)

    register_algorithm(Telling)
    lm.generate([1, 2], algorithm="telling", max_tokens=8)
    assert not CALLS[0].keys() & {"seed", "early_stop", "top_p", "top_k", "min_p"}
    CALLS.clear()
    lm.generate([1, 2], algorithm="telling", max_tokens=8, top_k=5, min_p=0.1)
    assert {name: CALLS[0].get(name) for name in ("top_k", "min_p", "top_p")} == {
        "top_k": 5,
        "min_p": 0.1,
        "top_p": None,
    }


def test_a_generate_that_calls_the_steps_runs_them(lm: LoadedModel) -> None:
    class Logged(DualCacheGeneration):
        name = "logged"

        def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
            CALLS.append(params)
            return super().generate(model, prompt, attention_mask=attention_mask, **params)

    register_algorithm(Logged)
    prompts = [[1, 2], [3], [4, 5, 6]]
    options = {"max_tokens": 12, "block_length": 4, "seed": 3, "temperature": 0.7}
    plain = lm.generate(prompts, algorithm="dual_cache", **options)
    logged = lm.generate(prompts, algorithm="logged", **options)
    assert [r.token_ids for r in logged] == [r.token_ids for r in plain]
    assert [call["seed"] for call in CALLS] == [3, 4, 5]


@pytest.mark.parametrize("own", ["generate", "answers"])
def test_whatever_is_overridden_is_one_call(own: str) -> None:
    kind = type("Own", (DualCacheGeneration,), {own: lambda self, *rest, **more: None})
    assert not kind.yields_steps()  # type: ignore[attr-defined]
    below = type("Below", (kind,), {"rule": DualCacheGeneration.rule})
    assert not below.yields_steps()  # type: ignore[attr-defined]
    assert DualCacheGeneration.yields_steps()


def test_a_decoder_of_steps_still_needs_its_parts() -> None:
    class Half(FastDLLMGeneration):
        name = "half"

    with pytest.raises(UsageError, match="Half is still abstract; implement policy"):
        register_algorithm(Half)


def test_one_call_that_is_asked_for_its_parts_says_what_it_is() -> None:
    with pytest.raises(NotImplementedError, match="MyAlgorithm decodes by its own generate; give it policy"):
        MyAlgorithm().policy({})  # type: ignore[abstract]


def test_the_kit_checks_it_as_one_call(lm: LoadedModel) -> None:
    """It inherits the engine's declarations and raises at a parameter of them, and that is found."""
    with pytest.raises(ConformanceError) as caught:
        check_algorithm(MyAlgorithm, model=lm.model.network)
    assert {failure.check for failure in caught.value.failures} == {"it generates"}
    assert "seed" in str(caught.value)


def test_a_network_without_a_cache_does_not_matter_to_it() -> None:
    class Uncached:
        caches = False

    assert MyAlgorithm().why_unfit(Uncached()) is None  # type: ignore[abstract]


def test_a_loader_of_its_own_is_what_loads(tmp_path: Path) -> None:
    network = small_llada()

    class Loading(MyAlgorithm):
        def load_model_class(self, model_path: str, **kwargs: Any) -> Any:
            CALLS.append({"model_path": model_path, **kwargs})
            return network

    loaded = Loading().load_model_from_hf(write_llada(tmp_path), device="cpu")  # type: ignore[abstract]
    assert loaded is network
    assert [{"model_path": str(tmp_path), "dtype": torch.float32}] == CALLS


# -- parameters of a generate of its own


def fives(prompt: torch.Tensor, count: int) -> tuple[torch.Tensor, int]:
    return torch.cat((prompt, prompt.new_full((len(prompt), count), 5)), dim=1), 1


def test_of_the_engines_parameters_it_takes_those_that_it_names(lm: LoadedModel) -> None:
    class Named(FastDLLMGeneration):
        name = "named"

        def generate(self, model: Any, prompt: Any, *, steps: int = 4, gen_length: int = 8) -> Any:  # type: ignore[override]
            CALLS.append({"steps": steps})
            return fives(prompt, gen_length)

    register_algorithm(Named)
    assert [each.name for each in llada_core.get_algorithm_info("named").parameters] == [
        "steps",
        "gen_length",
    ]
    assert lm.generate([1, 2], algorithm="named").completion_tokens == 8
    assert lm.generate([1, 2], algorithm="named", max_tokens=3, steps=2).completion_tokens == 3
    assert CALLS == [{"steps": 4}, {"steps": 2}]
    with pytest.raises(ParameterError, match=r"does not take threshold=0\.5; .*name it in Named\.generate"):
        lm.generate([1, 2], algorithm="named", threshold=0.5)


def test_a_class_below_takes_what_its_own_generate_names() -> None:
    class Short(DualCacheGeneration):
        def generate(self, model: Any, prompt: Any, *, gen_length: int = 8) -> Any:  # type: ignore[override]
            return fives(prompt, gen_length)

    class Wide(Short):
        def generate(self, model: Any, prompt: Any, *, block_length: int, gen_length: int = 9) -> Any:  # type: ignore[override]
            return fives(prompt, gen_length)

    class Open(Short):
        def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
            return fives(prompt, 2)

    assert Short().validate_args() == {"gen_length": 8}
    assert Wide().validate_args() == {"block_length": 32, "gen_length": 9}
    assert Open.parameters == DualCacheGeneration.parameters


def test_a_generate_that_runs_the_steps_with_fewer_parameters_runs_them(lm: LoadedModel) -> None:
    class Short(DualCacheGeneration):
        name = "short"

        def generate(self, model: Any, prompt: Any, *, gen_length: int = 4) -> Any:  # type: ignore[override]
            return super().generate(model, prompt, gen_length=gen_length)

    register_algorithm(Short)
    assert lm.generate([1, 2], algorithm="short", max_tokens=5).nfe == 5


def test_a_generate_that_takes_no_model_is_refused() -> None:
    class Modelless(FastDLLMGeneration):
        name = "modelless"

        def generate(self, prompt: Any, **params: Any) -> Any:  # type: ignore[override]
            return prompt, 1

    with pytest.raises(
        InvalidSpec, match=r"takes no model and prompt; write generate\(self, model, prompt, …"
    ):
        register_algorithm(Modelless)


def test_a_misspelled_part_is_not_asked_where_there_is_a_generate(lm: LoadedModel) -> None:
    class Misspelled(FastDLLMGeneration):
        name = "misspelled"

        def polcy(self, params: Mapping[str, Any]) -> Any:
            raise AssertionError("nobody asks")

        def generate(self, model: Any, prompt: Any, *, gen_length: int = 4) -> Any:  # type: ignore[override]
            return fives(prompt, gen_length)

    register_algorithm(Misspelled)
    assert lm.generate([1, 2], algorithm="misspelled").token_ids == (5,) * 4
    with pytest.raises(NotImplementedError, match="Misspelled decodes by its own generate; give it policy"):
        Misspelled().policy({})
    without = {
        name: part for name, part in vars(Misspelled).items() if name not in ("generate", "policy", "rule")
    }
    with pytest.raises(UsageError, match="is still abstract; implement policy"):
        register_algorithm(type("Without", (FastDLLMGeneration,), without))


# -- steps with fewer parameters


@pytest.mark.parametrize(
    ("names", "nfe"),
    [
        (["gen_length"], 8),
        (["gen_length", "temperature"], 8),
        (["gen_length", "steps"], 4),
        (["gen_length", "steps", "block_length"], 4),
        (["gen_length", "block_length"], 8),
    ],
)
@pytest.mark.parametrize("base", [BasicGeneration, DualCacheGeneration])
def test_a_decoder_of_steps_may_declare_fewer_parameters(
    lm: LoadedModel, base: type[FastDLLMGeneration], names: list[str], nfe: int
) -> None:
    declared = tuple(llada_core.standard(name) for name in names)
    register_algorithm(type("Few", (base,), {"name": "few", "parameters": declared}))
    given = {"steps": 4, "block_length": 4}
    few = {name: value for name, value in given.items() if name in names}
    assert lm.generate([1, 2], algorithm="few", max_tokens=8, **few).nfe == nfe


def test_a_decoder_of_steps_without_a_length_says_what_it_lacks(lm: LoadedModel) -> None:
    declared = (llada_core.standard("steps"),)
    register_algorithm(type("Endless", (DualCacheGeneration,), {"name": "endless", "parameters": declared}))
    with pytest.raises(GenerationError, match=r"it has no gen_length, .*; add standard\('gen_length'\)"):
        lm.generate([1, 2], algorithm="endless")
