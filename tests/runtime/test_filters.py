"""Which tokens the filters keep, against plain arithmetic in float64 and transformers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llada_core import ParameterError
from llada_runtime import Filters
from llada_runtime.reference import drawable
from llada_runtime.testing import MASK
from tests.runtime.test_proposals import logits_of

FILTERS = [
    {"top_k": 5},
    {"top_p": 0.7},
    {"min_p": 0.2},
    {"top_k": 6, "top_p": 0.8},
    {"top_p": 0.9, "min_p": 0.1},
    {"top_k": 9, "top_p": 0.9, "min_p": 0.15},
]
WARPERS: dict[str, Any] = {
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}
each_filter = pytest.mark.parametrize("given", FILTERS, ids=str)


def kept(logits: Tensor, temperature: float, **given: Any) -> list[list[int]]:
    """What may be drawn from each row of ``logits``, in the order of ids."""
    found = Filters(**given).kept(logits, temperature)
    assert found.shape == logits.shape
    return [row.nonzero()[:, 0].tolist() for row in found]


def plainly(logits: Tensor, temperature: float, **given: Any) -> list[list[int]]:
    return [sorted(drawable(row, temperature, **given)) for row in logits.tolist()]


filters = st.fixed_dictionaries(
    {
        "top_k": st.sampled_from([None, -1, 0, 1, 2, 5, 31, 32, 1000]),
        "top_p": st.sampled_from([None, 1e-9, 0.3, 0.5, 0.9, 0.999, 1.0]),
        "min_p": st.sampled_from([None, 0.0, 1e-6, 0.1, 0.5, 1.0]),
    }
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99),
    scale=st.sampled_from([0.1, 1.0, 8.0]),
    temperature=st.sampled_from([0.05, 0.7, 1.0, 5.0]),
    given=filters,
)
def test_what_is_kept_is_what_plain_arithmetic_keeps(
    seed: int, scale: float, temperature: float, given: dict[str, Any]
) -> None:
    logits = logits_of(seed, 6, scale)
    logits[:, MASK] = -torch.inf
    assert kept(logits, temperature, **given) == plainly(logits, temperature, **given)


@each_filter
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_what_is_kept_is_what_transformers_keeps(given: dict[str, Any], temperature: float) -> None:
    """Where no two tokens are equally likely: of those it keeps all."""
    warpers = [TemperatureLogitsWarper(temperature)]
    warpers += [kind(given[name]) for name, kind in WARPERS.items() if name in given]
    logits = logits_of(21, 200, 2.0)
    left: Any = logits.double()
    for warper in warpers:
        left = warper(None, left)
    assert torch.equal(Filters(**given).kept(logits, temperature), left > -torch.inf)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    row=st.lists(st.sampled_from([0.0, math.log(2), -math.inf]), min_size=1, max_size=12),
    top_k=st.sampled_from([None, 1, 3, 5]),
    min_p=st.sampled_from([None, 0.4, 0.75, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_equally_likely_tokens_go_by_their_ids(
    row: list[float], top_k: int | None, min_p: float | None, dtype: torch.dtype
) -> None:
    row[0] = 0.0
    logits = torch.tensor([row], dtype=dtype)
    assert kept(logits, 1.0, top_k=top_k, min_p=min_p) == plainly(logits, 1.0, top_k=top_k, min_p=min_p)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ({"top_p": 0.25}, [1]),  # reached by the first
        ({"top_p": 0.2500001}, [1, 4]),
        ({"top_p": 0.5}, [1, 4]),
        ({"top_p": 0.75}, [1, 4, 5]),
        ({"top_k": 3}, [1, 4, 5]),
        ({"min_p": 1.0}, [1, 4, 5, 7]),  # equally likely, so all or none
        ({"top_k": 2, "top_p": 0.5}, [1]),  # half of what is left
        ({"top_k": 2, "top_p": 0.5000001}, [1, 4]),
    ],
    ids=str,
)
def test_of_four_equal_tokens_these_are_kept(given: dict[str, Any], tokens: list[int]) -> None:
    logits = torch.full((1, 9), -torch.inf)
    logits[0, [1, 4, 5, 7]] = 2.0
    assert kept(logits, 0.8, **given) == [tokens]


def test_the_temperature_comes_first() -> None:
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert kept(logits, 1.0, top_p=0.65) == [[0, 1]]
    assert kept(logits, 0.2, top_p=0.65) == [[0]]
    assert kept(logits, 9.0, min_p=0.5) == [[0, 1, 2]]


def test_min_p_comes_last_and_top_k_first() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert kept(logits, 1.0, top_p=0.75) == [[0, 1, 2]]
    assert kept(logits, 1.0, top_k=2, top_p=0.75) == [[0, 1]]
    assert kept(logits, 1.0, top_p=0.75, min_p=0.7) == [[0, 1]]
    assert kept(logits, 1.0, top_k=2, top_p=0.5, min_p=0.1) == [[0]]  # 0.4 of 0.7


@pytest.mark.parametrize("temperature", [5e-324, 1e-200, 1e20, 1e300])
@each_filter
def test_something_is_kept_at_every_temperature(given: dict[str, Any], temperature: float) -> None:
    logits = logits_of(3, 8)
    best = logits.argmax(-1).tolist()
    found = kept(logits, temperature, **given)
    assert all(token in row for token, row in zip(best, found, strict=True))
    assert temperature > 1 or "top_k" in given or found == [[token] for token in best]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"top_p": 0.0}, "top_p=0.0 is out of range; give a number above 0 to 1, or none"),
        ({"top_p": 1.5}, "top_p=1.5 is out of range"),
        ({"top_k": -2}, "top_k=-2 is out of range; give an integer, -1 or more, or none"),
        ({"top_k": 1.5}, "top_k=1.5 has the wrong type"),
        ({"min_p": -0.1}, "min_p=-0.1 is out of range; give a number from 0 to 1, or none"),
        ({"min_p": math.nan}, "min_p=nan is out of range"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused_with_the_range(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError) as refused:
        Filters(**given)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("given", [{}, {"top_p": 1.0, "top_k": 0, "min_p": 0.0}, {"top_k": -1}], ids=str)
def test_parameters_that_leave_out_nothing_are_no_filters(given: dict[str, Any]) -> None:
    assert Filters.of({"gen_length": 4, **given}) is None


def test_parameters_that_leave_out_something_are_filters() -> None:
    assert Filters.of({"gen_length": 4, "top_k": 3, "min_p": None}) == Filters(top_k=3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@each_filter
def test_a_gpu_keeps_what_a_cpu_keeps(given: dict[str, Any], dtype: torch.dtype) -> None:
    """In bfloat16 many tokens are equally likely."""
    logits = torch.randn(64, 5000, generator=torch.Generator().manual_seed(22)).to(dtype)
    wanted = Filters(**given).kept(logits, 0.8)
    assert torch.equal(Filters(**given).kept(logits.cuda(), 0.8).cpu(), wanted)
