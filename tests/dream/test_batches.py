"""A row's tokens and forwards never depend on its neighbours, whatever their algorithms and lengths."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

import llada_core
from tests.dream.dream_data import ALGORITHMS, MODELS, decode, model_of, row_of
from tests.support.cases import cases

Row = tuple[str, list[int], dict[str, Any]]


def parameters(name: str, source: random.Random) -> dict[str, Any]:
    """Valid parameters of the algorithm, of every kind."""
    pick = source.choice
    given: dict[str, Any] = {
        "gen_length": source.randint(1, 16),
        "early_stop": pick([True, False]),
        "temperature": pick([0.0, 0.0, 0.7, 2.0]),
        "top_p": pick([None, None, 0.5, 0.95]),
        "top_k": pick([None, None, 2, 10]),
        "seed": source.randrange(9),
    }
    if name == "dream":
        given |= {"alg": pick(["origin", "entropy", "maskgit_plus", "topk_margin"])}
        given |= {"steps": source.randint(1, 18), "eps": pick([1e-3, 0.05, 0.0])}
        if given["alg"] != "origin":
            given["alg_temp"] = pick([None, 0.0, 0.4])
    elif name == "dream_threshold":
        given |= {"steps": pick([None, 1, 3, 7, 20]), "threshold": pick([0.0, 0.5, 0.8, 0.9, 1.0])}
    else:
        given["block_length"] = source.randint(1, 8)
        if source.random() < 0.5:
            given["threshold"] = pick([0.0, 0.5, 0.8, 0.9, 1.0])
        else:
            given |= {"alg": "entropy", "steps": pick([None, 1, 4, 20]), "alg_temp": pick([None, 0.4])}
    return given


def batch(seed: int) -> tuple[str, list[Row]]:
    source = random.Random(seed)
    model = source.choice(MODELS)
    config = model_of(model).config
    ids = [token for token in range(config.vocab_size) if token != config.mask_token_id]
    rows = []
    for _ in range(source.randint(2, 5)):
        name = source.choice(ALGORITHMS)
        prompt = [source.choice(ids) for _ in range(source.randint(1, 25))]
        rows.append((name, prompt, parameters(name, source)))
    return model, rows


def holds(seed: int) -> None:
    name, rows = batch(seed)
    model = model_of(name)
    together = decode(model, *(row_of(model, kind, prompt, **given) for kind, prompt, given in rows))
    for (kind, prompt, given), found in zip(rows, together, strict=True):
        assert decode(model, row_of(model, kind, prompt, **given)) == [found], (kind, given)
        assert model.config.mask_token_id not in found[0]
        assert len(found[0]) == len(prompt) + given["gen_length"]


@pytest.mark.parametrize("seed", range(8))
def test_rows_of_any_algorithm_decode_as_if_alone(seed: int) -> None:
    holds(seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_ragged_and_mixed_batches_decode_as_their_rows_alone() -> None:
    for seed in range(100, 100 + cases(200)):
        holds(seed)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_padding_on_the_left_is_not_seen(name: str) -> None:
    """Also of Fast-dLLM's decoders, whose own network ignores the positions that it is given."""
    algorithm, model = llada_core.get_algorithm(name), model_of(MODELS[1])
    order = {"alg": "entropy", "steps": 6} if name == "dream" else {}
    prompts = [[7, 8, 9, 10, 11], [20, 21]]
    padded = torch.tensor([prompts[0], [0, 0, 0, *prompts[1]]])
    mask = torch.tensor([[1] * 5, [0, 0, 0, 1, 1]])
    output, nfe = algorithm.generate(model, padded, attention_mask=mask, gen_length=12, **order)
    alone = [algorithm.generate(model, torch.tensor([ids]), gen_length=12, **order) for ids in prompts]
    assert output[1, :3].tolist() == [0, 0, 0]
    assert output[:, 5:].tolist() == [ids[0, -12:].tolist() for ids, _ in alone]
    assert nfe == max(each for _, each in alone)
