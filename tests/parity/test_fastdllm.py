"""Fast-dLLM's decoders against tokens and forward counts recorded from the upstream implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_runtime import drain
from tests.parity.parity_data import golden_cases, golden_model, needs_engine, rows_of

pytestmark = [needs_engine("fast-dllm"), pytest.mark.alone]

Case = dict[str, Any]
CASES = golden_cases("fastdllm")


@pytest.mark.parametrize("case", CASES)
def test_tokens_and_forwards_equal_upstream(case: Case) -> None:
    """Of one row, also how many tokens each forward commits: the trace of a batch is that of rows in step."""
    algorithm, model = llada_core.get_algorithm(case["algorithm"]), golden_model(case["model"])
    params = algorithm.validate_args(early_stop=False, **case["params"])
    sequences = [algorithm.sequence(model, row, params) for row in rows_of(case)]
    steps = list(drain(model, sequences, rows=32))
    assert [sequence.canvas for sequence in sequences] == case["expected"]["sequences"]
    if len(sequences) == 1:
        assert sequences[0].nfe == case["expected"]["nfe"]
        assert [len(step.tokens) for step in steps] == [committed for *_, committed in case["trace"]]


@pytest.mark.parametrize("case", [each for each in CASES if len(rows_of(each.values[0])) > 1])
def test_a_batch_is_generated_as_upstream_does(case: Case) -> None:
    output_ids, _ = llada_core.get_algorithm(case["algorithm"]).generate(
        golden_model(case["model"]), torch.tensor(rows_of(case)), early_stop=False, **case["params"]
    )
    assert output_ids.tolist() == case["expected"]["sequences"]


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_tokens_equal_upstream_on_a_gpu(case: Case) -> None:
    output_ids, _ = llada_core.get_algorithm(case["algorithm"]).generate(
        golden_model(case["model"], "cuda"), torch.tensor(rows_of(case)), early_stop=False, **case["params"]
    )
    assert output_ids.tolist() == case["expected"]["sequences"]
