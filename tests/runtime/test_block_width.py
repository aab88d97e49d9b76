"""A block that is decoded at its full width fits the model."""

from __future__ import annotations

import pytest

from llada_core import ParameterError
from llada_runtime import NoCache, Quota, Sequence
from llada_runtime.testing import FakeConfig, FakeNetwork


def row(width: int, *, whole_blocks: bool) -> Sequence:
    network = FakeNetwork.random(config=FakeConfig(max_sequence_length=64))
    return Sequence(
        [1, 2, 3],
        network.config,
        gen_length=4,
        block_length=width,
        policy=NoCache(),
        rule=Quota(1),
        whole_blocks=whole_blocks,
    )


def test_a_whole_block_is_no_wider_than_the_limit() -> None:
    assert row(64, whole_blocks=True).block_length == 64
    with pytest.raises(ParameterError, match="block_length=65 is more columns than this model's limit of 64"):
        row(65, whole_blocks=True)


def test_a_block_that_ends_with_the_answer_may_be_said_to_be_wider() -> None:
    assert row(65, whole_blocks=False).length == 7
