"""A row's tokens and forward count never depend on its neighbours, whatever their algorithms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llada_core
from llada_runtime import drain
from tests.parity.parity_data import MODELS, MOE_MODEL, golden_model
from tests.support.cases import cases

Row = tuple[str, list[int], dict[str, Any]]


def options(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(values)


thresholds = st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0])
seeds = st.integers(0, 9)
lengths = options(gen_length=st.integers(1, 20), block_length=st.integers(1, 12), early_stop=st.booleans())

fastdllm_rules = st.one_of(
    options(steps=st.integers(1, 30), threshold=st.none()),
    options(threshold=thresholds),
    options(factor=st.sampled_from([0.5, 1.0, 2.0])),
    options(temperature=st.just(0.7), seed=seeds),
    options(
        temperature=st.sampled_from([0.7, 2.0]),
        seed=seeds,
        top_p=st.sampled_from([None, 0.5, 0.9]),
        top_k=st.sampled_from([None, 2, 10]),
        min_p=st.sampled_from([None, 0.1]),
    ),
    options(remasking=st.just("random"), seed=seeds, steps=st.just(9)),
)

caches = st.one_of(
    options(cache=st.just("none")),
    options(cache=st.sampled_from(["prefix", "dual"]), cache_update_freq=st.sampled_from([None, 2, 3])),
    options(prefix_look=st.integers(0, 8), after_look=st.integers(0, 8), warmup_steps=st.integers(0, 4)),
)
iterations = options(
    maximum_unroll=st.integers(1, 4),
    expected_tpf=st.integers(1, 8),
    start_block_align=st.booleans(),
    cont_weight=st.sampled_from([None, None, 0.3]),
)
dinfer_rules = {
    "dinfer_blockwise": st.one_of(
        options(threshold=thresholds), options(steps=st.integers(1, 30), start_block_align=st.just(False))
    ),
    "dinfer_hierarchy": options(
        threshold=st.one_of(st.none(), thresholds), low_threshold=st.sampled_from([None, 0.3, 0.6])
    ),
    "dinfer_credit": options(threshold=thresholds, credit_alpha=st.sampled_from([0.3, 0.7, 1.0])),
}


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(
        lambda found: {name: value for part in found for name, value in part.items()}
    )


parameters = {
    **dict.fromkeys(["basic", "prefix_cache", "dual_cache"], joined(lengths, fastdllm_rules)),
    **{name: joined(lengths, iterations, caches, rule) for name, rule in dinfer_rules.items()},
}


@st.composite
def batches(draw: st.DrawFn, models: list[str] = MODELS) -> tuple[str, list[Row]]:
    model = draw(st.sampled_from(models))
    config = golden_model(model).config
    tokens = st.integers(0, config.vocab_size - 1).filter(lambda token: token != config.mask_token_id)
    prompts = st.lists(tokens, min_size=1, max_size=24)
    installed = sorted(parameters.keys() & set(llada_core.list_algorithms()))
    names = draw(st.lists(st.sampled_from(installed), min_size=1, max_size=6))
    return model, [(name, draw(prompts), draw(parameters[name])) for name in names]


def decode(model_name: str, rows: list[Row]) -> list[tuple[list[int], int]]:
    model, sequences = golden_model(model_name), []
    for name, prompt, params in rows:
        algorithm = llada_core.get_algorithm(name)
        sequences.append(algorithm.sequence(model, prompt, algorithm.validate_args(**params)))
    for step in drain(model, sequences, rows=32):
        assert step.error is None
    return [(sequence.canvas, sequence.nfe) for sequence in sequences]


def check_rows(batch: tuple[str, list[Row]]) -> None:
    """Decode the rows together and each alone, and compare."""
    model, rows = batch
    together = decode(model, rows)
    assert together == [decode(model, [row])[0] for row in rows]
    mask = golden_model(model).config.mask_token_id
    assert not any(mask in canvas for canvas, _ in together)


def thorough(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)


@pytest.mark.slow
@pytest.mark.timeout(900)
@thorough(cases(200))
@given(batches())
def test_rows_of_any_algorithm_decode_as_if_alone(batch: tuple[str, list[Row]]) -> None:
    check_rows(batch)


@pytest.mark.slow
@pytest.mark.timeout(900)
@thorough(cases(200))
@given(batches([MOE_MODEL]))
def test_rows_on_layers_of_experts_decode_as_if_alone(batch: tuple[str, list[Row]]) -> None:
    check_rows(batch)


@thorough(5)
@given(batches([MOE_MODEL]))
def test_a_few_rows_on_layers_of_experts_decode_as_if_alone(batch: tuple[str, list[Row]]) -> None:
    check_rows(batch)
