"""Networks declare how they are read, and decoders refuse those that they would misread."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llada_core import AlgorithmUnavailable
from llada_runtime import LLaDAModel, NoCache, Plan, Quota, Reading, StepAlgorithm
from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.network.graphs import Graphed
from llada_runtime.testing import FakeNetwork, small_llada

NEVER: Any = None  # which nothing here asks
BLOCKS, NEXT = Reading(attention="blocks"), Reading(shift=1)


class Plain(StepAlgorithm):
    """Two a step, from the logits in their column."""

    name = "plain"

    def policy(self, params: Any) -> NoCache:
        return NoCache()

    def rule(self, params: Any) -> Quota:
        return Quota(2)


class Shifted(Plain):
    """From the logits one column before."""

    reading = NEXT

    def policy(self, params: Any) -> NoCache:
        return OneBefore()


class OneBefore(NoCache):
    def plan(self, sequence: Any) -> Plan:
        return Plan(lo=0, hi=sequence.length, shift=1)


class InBlocks(Plain):
    reading = BLOCKS


class OnLLaDA(Plain):
    """For LLaDA's own networks alone."""

    runs_on = LLaDAModel


class OnExperts(Plain):
    runs_on = LLaDAMoEModel


def network(reading: Reading | None) -> Any:
    made = small_llada()
    if reading is not None:
        made.reading = reading  # type: ignore[misc]
    return made


@pytest.mark.parametrize(
    ("kind", "reading", "told"),
    [
        (
            Plain,
            NEXT,
            "by the logits of that position, and this network's logits at a position are of the",
        ),
        (
            Shifted,
            None,
            "by the logits of the one before, and this network's logits at a position are of",
        ),
        (
            Plain,
            BLOCKS,
            "see all of the canvas, and this network's were trained to see its own",
        ),
        (
            InBlocks,
            None,
            "its own block and what is before it, and this network's were trained to see all",
        ),
        (InBlocks, NEXT, "it decides each position by the logits of that position"),
    ],
)
def test_a_network_that_would_be_misread_is_refused(
    kind: type[Plain], reading: Reading | None, told: str
) -> None:
    with pytest.raises(AlgorithmUnavailable, match=told):
        kind().generate(network(reading), torch.tensor([[5, 6]]), gen_length=4)


@pytest.mark.parametrize(("kind", "reading"), [(Plain, None), (Shifted, NEXT), (InBlocks, BLOCKS)])
def test_a_network_that_is_read_as_it_declares_is_decoded(kind: type[Plain], reading: Reading | None) -> None:
    assert kind().unfit_reason(network(reading)) is None


def test_a_network_of_another_class_is_refused_where_a_decoder_is_for_one() -> None:
    assert OnLLaDA().unfit_reason(network(None)) is None
    with pytest.raises(
        AlgorithmUnavailable, match="is for a LLaDAMoEModel, and this network is a LLaDAModel"
    ):
        OnExperts().generate(network(None), torch.tensor([[5, 6]]), gen_length=4)


@pytest.mark.parametrize("kind", [Plain, Shifted, InBlocks, OnLLaDA])
def test_a_network_that_declares_nothing_is_taken_as_it_is(kind: type[Plain]) -> None:
    assert kind().unfit_reason(FakeNetwork.random()) is None


def test_a_network_around_another_is_read_as_that() -> None:
    class Around:
        caches = True

        def __init__(self, inner: Any) -> None:
            self.network, self.config = inner, inner.config

    assert Shifted().unfit_reason(Around(network(NEXT))) is None
    assert Plain().unfit_reason(Around(network(NEXT))) is not None
    assert Plain().unfit_reason(Around(FakeNetwork.random())) is None
    assert OnLLaDA().unfit_reason(Graphed(network(None), record=NEVER)) is None
    assert "this network is a LLaDAModel" in str(
        OnExperts().unfit_reason(Graphed(network(None), record=NEVER))
    )


def test_a_declaration_of_another_kind_is_told() -> None:
    made = FakeNetwork.random()
    made.reading = "backwards"  # type: ignore[attr-defined]
    reason = Plain().unfit_reason(made)
    assert reason is not None
    assert reason.endswith("'backwards'; make it a llada_runtime.Reading")


def test_candidates_are_told_by_the_logits_that_the_decoder_reads() -> None:
    made, mask = network(NEXT), 0
    mask = made.config.mask_token_id
    canvas = [5, 6, mask, 7]
    at_its_column = Plain().log_probabilities(made, canvas, (2, 3), [[9]])
    one_before = Shifted().log_probabilities(made, [5, mask, 7], (1, 2), [[9]])
    assert Shifted().log_probabilities(made, canvas, (2, 3), [[9]]) != at_its_column
    assert one_before != at_its_column
