"""A row's tokens and forward count never depend on its neighbours."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parity_data import MODELS, golden_model

import llada_core

rules = st.one_of(
    st.fixed_dictionaries({"steps": st.integers(1, 60), "threshold": st.none()}),
    st.fixed_dictionaries({"threshold": st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0])}),
    st.fixed_dictionaries({"factor": st.sampled_from([0.5, 1.0, 2.0])}),
    st.fixed_dictionaries({"temperature": st.just(0.7), "seed": st.integers(0, 9)}),
    st.fixed_dictionaries({"remasking": st.just("random"), "seed": st.integers(0, 9), "steps": st.just(9)}),
)
parameters = st.builds(
    lambda rule, **rest: {**rest, **rule},
    rules,
    gen_length=st.integers(1, 40),
    block_length=st.integers(1, 20),
    early_stop=st.booleans(),
)


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, list[tuple[str, list[int], dict[str, Any]]]]:
    name = draw(st.sampled_from(MODELS))
    config = golden_model(name).config
    tokens = st.integers(0, config.vocab_size - 1).filter(lambda token: token != config.mask_token_id)
    row = st.tuples(
        st.sampled_from(["basic", "prefix_cache", "dual_cache"]),
        st.lists(tokens, min_size=1, max_size=40),
        parameters,
    )
    return name, draw(st.lists(row, min_size=1, max_size=16))


def decode(name: str, rows: list[tuple[str, list[int], dict[str, Any]]]) -> list[tuple[list[int], int]]:
    model, sequences = golden_model(name), []
    for algorithm_name, prompt, params in rows:
        algorithm = llada_core.get_algorithm(algorithm_name)
        sequences.append(algorithm.sequence(model, prompt, algorithm.validate_args(**params)))
    for _ in algorithm.steps(model, sequences):
        pass
    return [(sequence.canvas, sequence.nfe) for sequence in sequences]


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batches())
def test_rows_of_any_algorithm_decode_as_if_alone(
    batch: tuple[str, list[tuple[str, list[int], dict[str, Any]]]],
) -> None:
    name, rows = batch
    assert decode(name, rows) == [decode(name, [row])[0] for row in rows]
