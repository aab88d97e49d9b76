"""A row's tokens and forwards never depend on its neighbours, whatever their algorithms."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

import llada_core
from llada_core import GenerationRequest
from tests.llada2.random_rows import NAMES, request
from tests.support.cases import cases


def results(lm: llada_core.LoadedModel, requests: list[GenerationRequest]) -> list[tuple[Any, ...]]:
    return [(result.token_ids, result.nfe, result.finish_reason) for result in lm.generate_batch(requests)]


def test_rows_of_all_algorithms_decode_together_as_alone(lm: llada_core.LoadedModel) -> None:
    source = random.Random("llada2")
    requests = [request(source, NAMES[index % len(NAMES)], most=12) for index in range(10)]
    assert results(lm, requests) == [results(lm, [each])[0] for each in requests]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_ragged_batches_are_their_rows_alone(lm: llada_core.LoadedModel) -> None:
    ended = 0
    for number in range(cases(200)):
        source = random.Random(number)
        requests = [request(source, most=10) for _ in range(source.randint(2, 4))]
        together = results(lm, requests)
        assert together == [results(lm, [each])[0] for each in requests]
        ended += any(reason == "stop" for *_, reason in together)
    assert ended > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_decodes_as_the_loop(lm: llada_core.LoadedModel, name: str) -> None:
    """Strides, blocks that run twice, and edits, by a forward that is written out."""
    source, algorithm = random.Random(name), lm.algorithm(name)
    for _ in range(2):
        asked = request(source, name)
        with lm.session(rows=1) as session:
            ticket = session.submit(asked)
            for step in session:
                assert step.error is None
        answer = algorithm.reference_answer(
            lm.model.network, asked.prompt, algorithm.validate_args(**asked.parameters)
        )
        assert (answer.token_ids, answer.nfe) == (ticket.canvas, ticket.nfe)


def test_generate_takes_a_padded_batch(lm: llada_core.LoadedModel) -> None:
    """As PyTorch's users call it: ids, a mask of the padding, and all rows in one tensor."""
    algorithm, network = lm.algorithm("llada2"), lm.model.network
    ids = torch.tensor([[0, 0, 20, 21], [22, 23, 24, 25]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    output, nfe = algorithm.generate(network, ids, attention_mask=mask, gen_length=8, block_length=4)
    alone = [
        algorithm.generate(network, torch.tensor([row]), gen_length=8, block_length=4)
        for row in ([20, 21], [22, 23, 24, 25])
    ]
    assert [row[4:].tolist() for row in output] == [each[0, -8:].tolist() for each, _ in alone]
    assert nfe == max(each for _, each in alone)
