"""What may be drawn, and what a confidence is told of, by the code that SDAR's models come with."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

import llada_core
from llada_runtime import Filters
from llada_sdar.filters import SDARFilters
from llada_sdar.rules import Odds
from tests.sdar.golden_data import golden_model

TIED = torch.tensor([[3.0, 3.0, 0.0, -1.0]])
EVEN = torch.zeros(1, 4)


def kept(logits: torch.Tensor, *, temperature: float = 1.0, **given: Any) -> list[int]:
    found = SDARFilters(**given).kept(logits, temperature)
    return [int(token) for token in found[0].nonzero()[:, 0]]


def test_top_k_keeps_equally_likely_tokens_together() -> None:
    assert kept(TIED, top_k=1) == [0, 1]
    assert kept(TIED, top_k=3) == [0, 1, 2]
    assert kept(TIED.bfloat16(), top_k=1) == [0, 1]
    assert kept(TIED, top_k=99) == kept(TIED, top_k=0) == [0, 1, 2, 3]
    tokens = torch.tensor([1])
    assert float(Odds(filters=SDARFilters(top_k=1)).of(TIED, tokens)) == 0.5


def test_top_p_keeps_the_token_before_which_there_is_exactly_this_probability() -> None:
    assert kept(EVEN, top_p=0.5) == [0, 1, 2]
    assert kept(EVEN, top_p=0.49) == [0, 1]
    assert kept(EVEN, top_p=0.01) == [0]
    assert float(Odds(filters=SDARFilters(top_p=0.5)).of(EVEN, torch.tensor([2]))) == pytest.approx(1 / 3)


def test_top_p_is_of_what_top_k_leaves_and_min_p_comes_last() -> None:
    logits = torch.tensor([[0.6, 0.2, 0.1, 0.1]]).log()
    assert kept(logits, top_k=2, top_p=0.7) == [0]  # 0.75 of what is left
    assert kept(logits, top_p=0.7) == [0, 1]
    assert kept(logits, top_k=2, min_p=0.4) == [0]
    assert kept(logits, min_p=0.3) == [0, 1]
    assert kept(logits, temperature=100.0, top_p=0.5) == [0, 1]


def test_what_cannot_be_drawn_stays_out() -> None:
    logits = torch.tensor([[-torch.inf, 1.0, -torch.inf, 0.0]])
    assert kept(logits, top_k=3) == kept(logits, top_p=0.99) == [1, 3]


def test_without_ties_and_exact_sums_they_are_the_usual_ones() -> None:
    source = random.Random(0)
    for seed in range(40):
        logits = 3 * torch.randn(5, 17, generator=torch.Generator().manual_seed(seed))
        given = {
            "top_k": source.choice([None, 1, 4, 40]),
            "top_p": source.choice([None, 0.3, 0.9]),
            "min_p": source.choice([None, 0.05]),
        }
        wanted = Filters(**given).kept(logits, 0.7)
        assert SDARFilters(**given).kept(logits, 0.7).equal(wanted), given


def test_the_decoders_have_those_of_their_source() -> None:
    model, given = golden_model("sdar-64"), {"gen_length": 4, "temperature": 1.0, "top_k": 2}
    for name, wanted in (("sdar", SDARFilters(top_k=2)), ("sdar_lmdeploy", Filters(top_k=2))):
        algorithm = llada_core.get_algorithm(name)
        row = algorithm.sequence(model, [5, 6], algorithm.validate_args(**given))
        assert type(row.filters) is type(wanted)
        assert row.filters == wanted
    rule = llada_core.get_algorithm("sdar").rule(given)
    assert rule.confidence.filters == SDARFilters(top_k=2)
