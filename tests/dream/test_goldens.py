"""Tokens, forwards and logits against what was recorded from upstream code."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import llada_core
from llada_runtime import drain
from tests.dream.dream_data import GOLDENS, MODELS, Case, cases, model_of, ours, rows_of
from tests.support.logits import check_cached, check_full

pytestmark = pytest.mark.alone


def test_all_66_cases_are_here() -> None:
    told = json.loads((GOLDENS / "dream.json").read_text())["cases"]
    assert (len(told), len(cases())) == (66, 66)
    assert {llada_core.get_algorithm(case["algorithm"]).name for case in told} == {
        "dream", "dream_threshold", "dream_prefix_cache", "dream_dual_cache",
    }  # fmt: skip


@pytest.mark.parametrize("case", cases())
def test_tokens_and_forwards_equal_upstream(case: Case) -> None:
    """Of one row, also how many tokens each forward commits: the trace of a batch is that of rows in step."""
    algorithm, params = ours(case)
    given, model = algorithm.validate_args(early_stop=False, **params), model_of(case["model"])
    rows = [algorithm.sequence(model, prompt, given) for prompt in rows_of(case)]
    steps = list(drain(model, rows, rows=32))
    assert [row.canvas for row in rows] == case["expected"]["sequences"]
    assert max(row.nfe for row in rows) == case["expected"]["nfe"]
    if len(rows) == 1:
        assert [len(step.tokens) for step in steps] == [committed for *_, committed in case["trace"]]


@pytest.mark.parametrize("case", [each for each in cases() if len(rows_of(each.values[0])) > 1])
def test_a_batch_is_generated_as_upstream_does(case: Case) -> None:
    algorithm, params = ours(case)
    output_ids, nfe = algorithm.generate(
        model_of(case["model"]), torch.tensor(rows_of(case)), early_stop=False, **params
    )
    assert output_ids.tolist() == case["expected"]["sequences"]
    assert nfe == case["expected"]["nfe"]


@pytest.mark.gpu
@pytest.mark.parametrize("case", cases())
def test_tokens_equal_upstream_on_a_gpu(case: Case) -> None:
    algorithm, params = ours(case)
    output_ids, nfe = algorithm.generate(
        model_of(case["model"], "cuda"), torch.tensor(rows_of(case)), early_stop=False, **params
    )
    assert (output_ids.tolist(), nfe) == (case["expected"]["sequences"], case["expected"]["nfe"])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["plain", "masked"])
def test_a_full_forward_equals_upstream(name: str, call: str) -> None:
    check_full(model_of(name), load_file(GOLDENS / "logits" / f"{name}.safetensors"), call)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["dual_block", "suffix"])
def test_a_cached_forward_equals_upstream(name: str, call: str) -> None:
    check_cached(model_of(name), load_file(GOLDENS / "logits" / f"{name}.safetensors"), call)
