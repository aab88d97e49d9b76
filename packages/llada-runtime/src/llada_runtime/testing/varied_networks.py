"""Networks by which the checks of an algorithm decode: sure and unsure, also of where an answer ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from llada_runtime.models.llada import LLaDAModel
from llada_runtime.testing.checkpoints import small_llada
from llada_runtime.testing.networks import FakeConfig, FakeNetwork

__all__ = ["NETWORKS", "PROMPT"]

PROMPT = [5, 6, 7]
"""What is in front of every answer of theirs."""


def _steady() -> FakeNetwork:
    """Logits that change little from forward to forward: some columns are sure from the beginning, some never
    are, and one answer of them has an end."""
    network = FakeNetwork.random(7)
    config = network.config
    source = torch.Generator().manual_seed(7)
    liked = torch.randn(config.max_sequence_length, config.vocab_size, generator=source)
    liked *= torch.linspace(0.5, 5, 5).repeat(52)[: config.max_sequence_length, None]
    liked[8, config.eos_token_id] = 30.0

    def propose(canvas: torch.Tensor, lo: int, hi: int) -> torch.Tensor:
        standing = (canvas != config.mask_token_id).float().mean()
        return (liked[: len(canvas)] * (1 + standing))[lo:hi]

    return FakeNetwork(propose)


def _over() -> FakeNetwork:
    """Logits by which an answer is over behind its first block, where nothing but end tokens follows."""
    config = FakeConfig()
    end = len(PROMPT) + 4
    answer = [4] * end + [config.eos_token_id] * (config.max_sequence_length - end)
    return FakeNetwork.scripted(answer, config=config)


@functools.cache
def _transformer() -> LLaDAModel:
    """A real network, for what is fed to it as embeddings."""
    return small_llada()


NETWORKS: tuple[Callable[[], Any], ...] = (
    FakeNetwork.random,
    _transformer,
    _steady,
    functools.partial(FakeNetwork.random, 3, scale=100.0),  # so sure that it fills a block at once
    functools.partial(FakeNetwork.random, 1, scale=1.5),
    functools.partial(FakeNetwork.random, 2, scale=6.0),
    _over,
)
"""Networks of varied confidence: what changes nothing on all of them does nothing."""
