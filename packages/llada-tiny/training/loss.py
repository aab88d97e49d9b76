"""LLaDA's SFT loss, with a share of the rows masked the way block decoding meets them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from network import Network

BLOCK_ROWS = 0.4  # share of rows: clean before a block, masked after it, loss inside it
BLOCK_LENGTHS = (8, 16, 32, 32, 32, 32, 64, 128)
BLOCK_WEIGHT = 2.0  # a block has fewer positions than a whole window
TAIL_BLOCKS = 0.1  # share of the block rows whose block begins after the answer's last one
CAPACITY = 0.34  # positions with a loss, as a share of all; what exceeds it is dropped


@dataclass(frozen=True, slots=True)
class Corrupted:
    """Masked inputs, and per position the loss weight (0 where there is none)."""

    inputs: Tensor
    weights: Tensor


def corrupt(tokens: Tensor, prompt: Tensor, answer: Tensor, mask_id: int, generator: torch.Generator) -> Corrupted:
    """Masks a batch; tokens [rows, T], prompt and answer lengths [rows] (the answer's end marker counted)."""
    rows, length = tokens.shape
    device = tokens.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device, generator=generator)

    order = torch.randperm(rows, device=device, generator=generator)
    t = 0.01 + 0.99 * ((order + uniform(rows)) / rows)  # stratified
    offsets = torch.arange(length, device=device)[None] - prompt[:, None]
    lengths = torch.tensor(BLOCK_LENGTHS, device=device)
    block = lengths[torch.randint(len(BLOCK_LENGTHS), (rows,), device=device, generator=generator)]
    index = (uniform(rows) * ((answer - 1) // block + 1)).long() + (uniform(rows) < TAIL_BLOCKS).long()
    lo, by_block = (index * block)[:, None], (uniform(rows) < BLOCK_ROWS)[:, None]
    inside = torch.where(by_block, (offsets >= lo) & (offsets < lo + block[:, None]), offsets >= 0)
    drawn = inside & (uniform(rows, length) < t[:, None])
    masked = drawn | (by_block & (offsets >= lo + block[:, None]))
    weights = drawn / t[:, None] * torch.where(by_block, BLOCK_WEIGHT, 1.0)
    return Corrupted(tokens.masked_fill(masked, mask_id), weights)


def loss_positions(weights: Tensor) -> Tensor:
    """Flat indices of the positions with a loss, padded to a fixed count with others of weight 0."""
    count = int(weights.numel() * CAPACITY)
    return (weights.flatten() > 0).to(torch.int8).argsort(descending=True)[:count]


def weighted_loss(network: Network, hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of the chosen positions, over the number of positions."""
    logits = network.logits(hidden).float()
    return (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.shape[0]
