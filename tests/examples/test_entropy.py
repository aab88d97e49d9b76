"""The decoder of the examples in the server: offered, streamed and batched, without a line about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.served import completion, installed, offered, parts_together, steps
from tests.server.apps import Running, model_server


@pytest.fixture(scope="module")
def entropy() -> Iterator[Running]:
    """A server of the small model."""
    with installed("llada-entropy"), model_server() as running:
        yield running


def test_a_decoder_is_offered_with_what_it_takes(entropy: Running) -> None:
    card = offered(entropy)["entropy"]
    assert (card["runs"], card["streams"], card["engine"]) == (True, True, "fast-dllm")
    assert "entropy_budget" in {each["name"] for each in card["parameters"]}


def test_a_decoder_takes_its_parameter_in_a_request(entropy: Running) -> None:
    made = [
        completion(entropy, generation_algorithm="entropy", entropy_budget=budget)["generation"]
        for budget in (0.01, 5)
    ]
    assert made[0]["nfe"] > made[1]["nfe"]
    assert made[1]["parameters"]["entropy_budget"] == 5


def test_streams_of_two_algorithms_are_one_batch(entropy: Running) -> None:
    names = ("entropy", "dual_cache")
    alone = [completion(entropy, generation_algorithm=name) for name in names]
    forwards = [told["generation"]["nfe"] for told in alone]
    before = steps(entropy)
    told = parts_together(entropy, *({"generation_algorithm": name} for name in names))
    assert steps(entropy) - before < sum(forwards)
    for texts, whole in zip(told, alone, strict=True):
        assert "".join(texts) == whole["choices"][0]["text"]
        assert len(texts) > 1
