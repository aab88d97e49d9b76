"""Tokens, forwards and logits of the published code, on random checkpoints (see tests/sdar/goldens)."""

from __future__ import annotations

import functools

import pytest
import torch
from safetensors.torch import load_file

import llada_core
from llada_core import Step
from llada_runtime import Sequence, drain
from llada_runtime.network.layout import Layout, Span
from llada_sdar import SDARNetwork
from tests.sdar.golden_data import GOLDENS, MODELS, golden_cases, golden_model, setting

pytestmark = pytest.mark.alone

CASES = golden_cases()


@functools.cache
def decoded(index: int) -> tuple[Sequence, list[Step]]:
    case = CASES[index]
    name, params = setting(case)
    algorithm, model = llada_core.get_algorithm(name), golden_model(case["model"])
    row = algorithm.sequence(model, case["prompt"], algorithm.validate_args(**params))
    steps = list(drain(model, [row], rows=1))
    assert [step.error for step in steps if step.error is not None] == []
    return row, steps


def kept(answer: list[int], ends: tuple[int, ...]) -> list[int]:
    """The answer up to its first end token."""
    found = [at for at, token in enumerate(answer) if token in ends]
    return answer[: found[0] + 1] if found else answer


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case["id"] for case in CASES])
def test_tokens_and_forwards_are_those_of_the_published_code(index: int) -> None:
    case, (row, _) = CASES[index], decoded(index)
    model, prompt, (_, params) = golden_model(case["model"]), case["prompt"], setting(case)
    assert row.canvas[: len(prompt)] == prompt
    answer, expected = row.canvas[len(prompt) :], case["expected"]
    published = expected["canvas"][len(prompt) : len(prompt) + params["gen_length"]]
    ends = model.config.eos_ids if params.get("early_stop", True) else ()
    assert kept(answer, ends) == kept(published, ends) == expected.get("output_ids", kept(published, ends))
    assert row.nfe == expected["nfe"]


def test_columns_are_committed_by_the_forward_that_the_trace_says() -> None:
    for index, case in enumerate(CASES):
        row, steps = decoded(index)
        traced = [entry for entry in case["trace"] if entry[0] == "block" or setting(case)[0] == "sdar"]
        end = row.answer_end
        for step, (_, start, width, committed) in zip(steps, traced, strict=True):
            told = len(step.positions)
            assert told == committed or (told < committed and start + width > end)


@pytest.mark.parametrize("name", MODELS)
def test_logits_of_a_call_are_the_published_ones(name: str) -> None:
    model, files = golden_model(name), load_file(GOLDENS / "logits" / f"{name}.safetensors")
    block = model.config.block_size
    assert block is not None
    ids = files["blocks_input_ids"][0].tolist()
    following = files["next_block_input_ids"][0].tolist()
    found = logits_of(model, ids, head=0, block=block)
    torch.testing.assert_close(found, files["blocks_logits"][0], atol=2e-3, rtol=0)
    found = logits_of(model, ids + following, head=len(ids), block=block)
    torch.testing.assert_close(found, files["next_block_logits"][0], atol=2e-3, rtol=0)


def logits_of(model: SDARNetwork, ids: list[int], *, head: int, block: int) -> torch.Tensor:
    """Logits of the columns from ``head`` on, of one packed forward with block-causal attention."""
    length = len(ids)
    whole = Span(ids=ids, lo=0, hi=length, length=length, head_lo=head, head_hi=length, stride=block)
    return model.logits(Layout.of([whole], device=model.device, merge=model.merges), None)
