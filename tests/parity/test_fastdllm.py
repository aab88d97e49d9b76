"""Fast-dLLM's decoders against tokens and forward counts recorded from the upstream implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_runtime import drain
from tests.parity.parity_data import golden_cases, golden_model, needs_engine, rows_of

pytestmark = needs_engine("fast-dllm")

Case = dict[str, Any]


@pytest.mark.parametrize("case", golden_cases("fastdllm"))
def test_tokens_and_forwards_equal_upstream(case: Case) -> None:
    rows = rows_of(case)
    output_ids, nfe = llada_core.get_algorithm(case["algorithm"]).generate(
        golden_model(case["model"]), torch.tensor(rows), early_stop=False, **case["params"]
    )
    assert output_ids.tolist() == case["expected"]["sequences"]
    if len(rows) == 1:
        assert nfe == case["expected"]["nfe"]


@pytest.mark.parametrize("case", golden_cases("fastdllm"))
def test_each_forward_commits_as_many_tokens_as_upstream(case: Case) -> None:
    if len(rows_of(case)) > 1:
        pytest.skip("the trace of a batch counts all rows of a call that upstream runs in step")
    algorithm, model = llada_core.get_algorithm(case["algorithm"]), golden_model(case["model"])
    params = algorithm.validate_args(early_stop=False, **case["params"])
    steps = drain(model, [algorithm.sequence(model, case["prompt"], params)], rows=32)
    assert [len(step.tokens) for step in steps] == [committed for *_, committed in case["trace"]]


@pytest.mark.gpu
@pytest.mark.parametrize("case", golden_cases("fastdllm"))
def test_tokens_equal_upstream_on_a_gpu(case: Case) -> None:
    output_ids, _ = llada_core.get_algorithm(case["algorithm"]).generate(
        golden_model(case["model"], "cuda"), torch.tensor(rows_of(case)), early_stop=False, **case["params"]
    )
    assert output_ids.tolist() == case["expected"]["sequences"]
