"""LLaDA's SFT loss, with some rows masked as block decoding meets them, and the loss of cached blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from network import Network
from torch import Tensor

BLOCK_ROWS = 0.4  # share of rows: clean before a block, masked after it, loss inside it
BLOCK_LENGTHS = (8, 16, 32, 32, 32, 32, 64, 128)
TAIL_BLOCKS = 0.1  # share of the block rows whose block begins after the answer's last one
CAPACITY = 0.3  # positions with a loss, as a share of all; what exceeds it is dropped


@dataclass(frozen=True, slots=True)
class Corrupted:
    """Masked inputs, and per position the loss weight (0 where there is none)."""

    inputs: Tensor
    weights: Tensor


def corrupt(
    tokens: Tensor,
    prompt: Tensor,
    answer: Tensor,
    mask_id: int,
    generator: torch.Generator,
    block_weight: float,
) -> Corrupted:
    """Masks a batch; tokens [rows, T], prompt and answer lengths [rows] (the answer's end marker counted).

    A block has fewer positions than a whole window: `block_weight` is the weight of one of them.
    """
    rows, length = tokens.shape
    uniform = _uniform(tokens.device, generator)
    t = _stratified(rows, uniform)
    offsets = torch.arange(length, device=tokens.device)[None] - prompt[:, None]
    lengths = torch.tensor(BLOCK_LENGTHS, device=tokens.device)
    block = lengths[(uniform(rows) * len(BLOCK_LENGTHS)).long()]
    lo, by_block = (
        (_block_index(answer, block, uniform) * block)[:, None],
        (uniform(rows) < BLOCK_ROWS)[:, None],
    )
    inside = torch.where(by_block, (offsets >= lo) & (offsets < lo + block[:, None]), offsets >= 0)
    drawn = inside & (uniform(rows, length) < t[:, None])
    masked = drawn | (by_block & (offsets >= lo + block[:, None]))
    weights = drawn / t[:, None] * torch.where(by_block, block_weight, 1.0)
    return Corrupted(tokens.masked_fill(masked, mask_id), weights)


@dataclass(frozen=True, slots=True)
class CachedBlock:
    """One block a row, as a cached decoder meets it.

    The cache comes from `inputs` [rows, T], where the block and all behind it are masked; `block_inputs`
    [rows, block] at `columns` have some of the block's tokens already. Targets and weights are the block's.
    """

    inputs: Tensor
    block_inputs: Tensor
    columns: Tensor
    targets: Tensor
    weights: Tensor


def cached_block(
    tokens: Tensor, prompt: Tensor, answer: Tensor, mask_id: int, block: int, generator: torch.Generator
) -> CachedBlock:
    """One block of a given length for each row."""
    rows, length = tokens.shape
    uniform = _uniform(tokens.device, generator)
    t = _stratified(rows, uniform)[:, None]
    index = torch.minimum(_block_index(answer, block, uniform), (length - prompt) // block - 1)
    lo = (prompt + index * block)[:, None]
    columns = lo + torch.arange(block, device=tokens.device)[None]
    targets = tokens.gather(1, columns)
    drawn = uniform(rows, block) < t
    behind = torch.arange(length, device=tokens.device)[None] >= lo
    return CachedBlock(
        tokens.masked_fill(behind, mask_id), targets.masked_fill(drawn, mask_id), columns, targets, drawn / t
    )


def _uniform(device: torch.device, generator: torch.Generator) -> Callable[..., Tensor]:
    return lambda *shape: torch.rand(*shape, device=device, generator=generator)


def _stratified(rows: int, uniform: Callable[..., Tensor]) -> Tensor:
    """Masking ratios from U(0.01, 1), one in each of `rows` equal strata, in random order."""
    return 0.01 + 0.99 * ((uniform(rows).argsort() + uniform(rows)) / rows)


def _block_index(answer: Tensor, block: Tensor | int, uniform: Callable[..., Tensor]) -> Tensor:
    """A block that the answer reaches, or now and then the one behind."""
    rows = len(answer)
    return (uniform(rows) * ((answer - 1) // block + 1)).long() + (uniform(rows) < TAIL_BLOCKS).long()


def loss_positions(weights: Tensor) -> Tensor:
    """Flat indices of the positions with a loss, padded to a fixed count with others of weight 0."""
    count = int(weights.numel() * CAPACITY)
    return (weights.flatten() > 0).to(torch.int8).argsort(descending=True)[:count]


def weighted_loss(network: Network, hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of positions, [n, d_model] against [n], over their number."""
    logits = network.logits(hidden).float()
    return (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.shape[0]
