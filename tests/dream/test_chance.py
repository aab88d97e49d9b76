"""What is drawn: which positions, and which tokens, and from whose stream."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from llada_runtime import Sequence, drain
from llada_runtime.testing import FakeNetwork
from tests.dream.dream_data import ALGORITHMS, MODELS, decode, model_of, row_of

PROMPT = [5, 9, 11]
HOT: dict[str, dict[str, Any]] = {
    "origin": {"alg": "origin"},
    "origin, hot": {"alg": "origin", "temperature": 0.8},
    "entropy, hot": {"alg": "entropy", "temperature": 1.5, "top_p": 0.95},
    "alg_temp": {"alg": "maskgit_plus", "alg_temp": 0.5},
}


def dream(seed: int | None = 3, **given: Any) -> Sequence:
    return row_of(model_of(MODELS[1]), "dream", PROMPT, gen_length=24, steps=8, seed=seed, **given)


@pytest.mark.parametrize("given", HOT.values(), ids=HOT)
def test_a_seed_repeats_what_is_drawn_and_another_does_not(given: dict[str, Any]) -> None:
    model = model_of(MODELS[1])
    first, again, other = (decode(model, dream(seed, **given))[0] for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("given", HOT.values(), ids=HOT)
def test_draws_are_of_the_rows_own_stream(given: dict[str, Any]) -> None:
    model = model_of(MODELS[1])
    torch.manual_seed(7)
    before = torch.get_rng_state()
    rows = [dream(seed, **given) for seed in (3, 4, 5)]
    together = decode(model, *rows)
    assert torch.equal(torch.get_rng_state(), before)
    assert together == [decode(model, dream(seed, **given))[0] for seed in (3, 4, 5)]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_temperature_draws_and_a_top_k_of_one_takes_the_likeliest(name: str) -> None:
    model = model_of(MODELS[1])
    order = {"alg": "maskgit_plus", "steps": 12} if name == "dream" else {}

    def run(**given: Any) -> tuple[list[int], int]:
        return decode(model, row_of(model, name, PROMPT, gen_length=24, **order, **given))[0]

    assert run(temperature=3.0, seed=1) != run()
    narrow = run(temperature=3.0, seed=1, top_k=1)
    assert narrow == run(top_k=1)
    assert narrow == run(temperature=0.3, seed=2, top_k=1)


def picks(given: dict[str, Any], sure: list[float], draws: int) -> Counter[tuple[int, ...]]:
    """Which positions the first of two forwards fills, how often, where the network is so sure of each."""
    # Answers begin at column 2; what tells of a column is the one before it.
    network = FakeNetwork.scripted(5, [0.5, *sure, 0.5])
    found: Counter[tuple[int, ...]] = Counter()
    for seed in range(draws):
        row = row_of(network, "dream", [1, 2], gen_length=len(sure), steps=2, eps=0.0, seed=seed, **given)
        found[next(drain(network, [row], rows=1)).positions] += 1
    return found


def test_alg_temp_draws_positions_without_replacement_by_their_confidence() -> None:
    """Two of four, each pair as often as two draws from softmax(confidence / alg_temp) bring it."""
    sure, heat, draws = [0.5, 0.2, 0.8, 0.4], 0.3, 600
    found = picks({"alg": "maskgit_plus", "alg_temp": heat}, sure, draws)
    weights = torch.tensor(sure, dtype=torch.float64).div(heat).softmax(-1).tolist()
    for a in range(4):
        for b in range(a + 1, 4):
            chance = weights[a] * weights[b] * (1 / (1 - weights[a]) + 1 / (1 - weights[b]))
            assert found[(a, b)] / draws == pytest.approx(chance, abs=0.06)
    assert sum(found.values()) == sum(found[(a, b)] for a in range(4) for b in range(a + 1, 4))


def test_origin_fills_each_position_by_itself_with_the_share_of_the_step() -> None:
    draws = 600
    found = picks({"alg": "origin"}, [0.9, 0.1, 0.5, 0.7], draws)
    for place in range(4):
        filled = sum(count for places, count in found.items() if place in places)
        assert filled / draws == pytest.approx(0.5, abs=0.06)
    assert found[()] / draws == pytest.approx(1 / 16, abs=0.03)
    assert found[(0, 1, 2, 3)] / draws == pytest.approx(1 / 16, abs=0.03)


@pytest.mark.parametrize("alg_temp", [1e-300, 1e-9])
def test_the_coldest_draw_of_positions_is_the_surest(alg_temp: float) -> None:
    model = model_of(MODELS[1])
    cold = dream(alg="topk_margin", alg_temp=alg_temp)
    assert decode(model, cold) == decode(model, dream(alg="topk_margin"))
