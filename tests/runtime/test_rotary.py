"""Rotary embedding: pairs of channels turn by their position, in a whole head or in its first channels."""

from __future__ import annotations

import math

import pytest
import torch

from llada_runtime import LLaDAConfig, LLaDAModel, Rotary, Shape
from llada_runtime.network.layout import Layout, Span
from llada_runtime.plain import PlainForward
from llada_runtime.testing import LLADA_CONFIG, llada_weights


class InPart(LLaDAModel):
    """LLaDA's network, in whose heads of 8 channels two are turned."""

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, 2)


def turned_one_by_one(head: list[float], position: int, channels: int, theta: float) -> list[float]:
    """Each pair ``(i, i + r/2)`` turned by its angle, as written in the paper."""
    half, made = channels // 2, list(head)
    for i in range(half):
        angle = position * theta ** (-2 * i / channels)
        made[i] = head[i] * math.cos(angle) - head[i + half] * math.sin(angle)
        made[i + half] = head[i + half] * math.cos(angle) + head[i] * math.sin(angle)
    return made


@pytest.mark.parametrize("channels", [2, 4, 6, 8])
def test_the_first_channels_turn_and_the_others_pass(channels: int) -> None:
    x = torch.randn(5, 3, 8, generator=torch.Generator().manual_seed(channels))
    rotary, positions = Rotary.plain(100.0, channels), [0, 1, 7, 40, 300]
    assert rotary.channels == channels
    made = rotary.at(torch.tensor(positions))(x)
    for column, position in enumerate(positions):
        for head in range(3):
            expected = turned_one_by_one(x[column, head].tolist(), position, channels, 100.0)
            torch.testing.assert_close(made[column, head], torch.tensor(expected), atol=2e-5, rtol=1e-5)
    assert torch.equal(made[..., channels:], x[..., channels:])


def test_what_is_turned_keeps_its_dtype_and_what_passes_its_bits() -> None:
    x = torch.randn(4, 2, 8, dtype=torch.float32).bfloat16()
    made = Rotary.plain(1e4, 4).at(torch.arange(4))(x)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made[..., 4:], x[..., 4:])
    assert torch.equal(made[..., :4], Rotary.plain(1e4, 4).at(torch.arange(4))(x[..., :4]))


def test_a_network_turned_in_part_is_that_of_the_plain_forward() -> None:
    config = LLaDAConfig.from_dict({**LLADA_CONFIG, "n_heads": 2, "n_kv_heads": 2})
    network = InPart(config, device=torch.device("cpu"), dtype=torch.float32)
    whole = LLaDAModel(config, device=torch.device("cpu"), dtype=torch.float32)
    weights = llada_weights({**LLADA_CONFIG, "n_heads": 2, "n_kv_heads": 2})
    for each in (network, whole):
        for name, tensor in each.tensors().items():
            tensor.copy_(weights[name])
        each.pack()
    span = Span(ids=list(range(1, 13)), lo=0, hi=12, length=12, head_lo=0, head_hi=12)
    layout = Layout.of([span], device=network.device, merge=network.merges)
    logits = network.logits(layout, None)
    torch.testing.assert_close(logits, PlainForward(network).logits(span), atol=1e-4, rtol=1e-4)
    assert (logits - whole.logits(layout, None)).abs().max() > 0.1
