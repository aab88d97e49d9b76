"""Log-likelihoods by a trained network: against all masks one by one, and the same in every batch."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean

import pytest
import torch

import llada_core
from llada_core.loading import LoadedModel

CONTEXT, TEXT = "12 + 30 = ", "42."


@pytest.fixture(scope="module")
def lm() -> LoadedModel:
    return llada_core.load_model(engine="fast-dllm")


@pytest.fixture(scope="module")
def ids(lm: LoadedModel) -> tuple[list[int], list[int]]:
    context = lm.model.encode([{"role": "user", "content": "What is 12 + 30?"}])
    answer = lm.model.tokenizer(CONTEXT + TEXT, add_special_tokens=False)["input_ids"]
    return [*context, *answer[:-3]], answer[-3:]


@torch.inference_mode()
def logs_of(lm: LoadedModel, ids: tuple[list[int], list[int]], masked: tuple[int, ...]) -> list[float]:
    """Of each masked token, by a forward of this canvas alone."""
    (context, answer), mask = ids, lm.model.limits.mask_id
    canvas = [*context, *(mask if place in masked else token for place, token in enumerate(answer))]
    logits = lm.model.network(torch.tensor([canvas]))[0]
    logits[:, mask] = -torch.inf
    sure = logits.log_softmax(-1)
    return [float(sure[len(context) + place, answer[place]]) for place in masked]


def of_all_masks(lm: LoadedModel, ids: tuple[list[int], list[int]]) -> float:
    length = len(ids[1])
    return fmean(
        fmean(sum(logs_of(lm, ids, masked)) * length / count for masked in combinations(range(length), count))
        for count in range(1, length + 1)
    )


def test_the_estimate_is_that_of_all_masks(lm: LoadedModel, ids: tuple[list[int], list[int]]) -> None:
    longer = ([*ids[0][:-3]], [*ids[0][-3:], *ids[1]])
    exact = of_all_masks(lm, longer)
    for seed in range(5):
        found = lm.log_likelihood(*longer, samples=62, seed=seed)  # one less than there are masks
        assert found.standard_error
        assert abs(found.value - exact) < 4 * found.standard_error


def test_of_few_tokens_it_is_the_mean_itself_and_the_chain_is_that_of_a_loop(
    lm: LoadedModel, ids: tuple[list[int], list[int]]
) -> None:
    length = len(ids[1])
    found = lm.log_likelihood(*ids, samples=7)
    assert (found.standard_error, found.samples) == (0, None)
    assert found.value == pytest.approx(of_all_masks(lm, ids), abs=1e-5)
    chain = lm.log_likelihood(*ids, method="chain")
    looped = math.fsum(logs_of(lm, ids, tuple(range(place, length)))[0] for place in range(length))
    assert chain.value == pytest.approx(looped, abs=1e-4)
    assert chain.is_greedy


def test_the_seed_gives_the_same_value_in_every_batch(
    lm: LoadedModel, ids: tuple[list[int], list[int]]
) -> None:
    pairs = [ids, (ids[0][:4], ids[1]), (ids[0], ids[1][:1]), (ids[0], [5, 6, 7, 8, 9])]
    alone = [lm.log_likelihood(*pair, samples=12, batch_size=1) for pair in pairs]
    for size in (3, 16):
        assert dict(lm.log_likelihoods(pairs, samples=12, batch_size=size)) == dict(enumerate(alone))


def test_text_is_read_as_prompts_and_templates_are(lm: LoadedModel) -> None:
    found = lm.log_likelihood("What is 12 + 30?", "12 + 30 = 42.", method="chain")
    wrong = lm.log_likelihood("What is 12 + 30?", "12 + 30 = 43.", method="chain")
    assert found.is_greedy
    assert not wrong.is_greedy
    assert found.value > wrong.value + 2
