"""One network in training: what a step does with a batch. Knows nothing of schedules, files or processes."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from data import Batch
from export import load_published
from loss import cached_block, corrupt, loss_positions, weighted_loss
from network import Network, Shape
from optimizer import Optimizer
from torch import Tensor

LONGEST_SLACK = 32  # columns of padding added to a batch, so that the canvas ends anywhere
CACHED_SHARE = 0.25  # share of the steps that train on cached blocks
CACHED_BLOCK_LENGTHS = (16, 32, 32, 32, 64)


class Trainer:
    """Turns batches into steps."""

    def __init__(
        self,
        shape: Shape,
        *,
        start: Path | None,
        block_weight: float,
        mask_id: int,
        eos_id: int,
        seed: int,
        device: str,
    ) -> None:
        torch.manual_seed(seed)
        self.block_weight = block_weight
        self.shape, self.mask_id, self.eos_id, self.device = shape, mask_id, eos_id, device
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.network = Network(shape, self.dtype).to(device)
        if start is not None:
            load_published(self.network, start)
        self.optimizer = Optimizer(self.network)
        self.choices = random.Random(seed)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.loss = weighted_loss

    def compile(self) -> None:
        """Compiles the blocks and the loss, once for all batch shapes."""
        # cuDNN's attention plans anew for each of our many shapes, half a millisecond each time.
        torch.backends.cuda.enable_cudnn_sdp(False)
        self.loss = torch.compile(weighted_loss, dynamic=True)
        for block in self.network.blocks:
            block.compile(dynamic=True)

    def step(self, batch: Batch, rate: float) -> Tensor:
        """One update; returns the loss without waiting for it."""
        slack = self.choices.randrange(0, LONGEST_SLACK + 1, 8)
        tokens, prompt, answer = self._upload(batch, 0 if batch.cut else slack)
        cached = self.choices.random() < CACHED_SHARE
        loss = (self._cached_loss if cached else self._full_loss)(tokens, prompt, answer)
        loss.backward()
        self.optimizer.step(rate)
        return loss.detach()

    def go_on_from_average(self) -> None:
        """Begins anew, without momentum, at the averaged parameters as they would be published."""
        self._round_average_into(self.network)
        self.optimizer = Optimizer(self.network)

    def averaged(self) -> Network:
        """A network with the averaged parameters, rounded as they are published."""
        network = Network(self.shape, self.dtype).to(self.device)
        self._round_average_into(network)
        return network.requires_grad_(False)

    @torch.no_grad()
    def _round_average_into(self, network: Network) -> None:
        self.optimizer.copy_average_to(network)
        for parameter in network.parameters():
            parameter.copy_(parameter.bfloat16())

    def _full_loss(self, tokens: Tensor, prompt: Tensor, answer: Tensor) -> Tensor:
        corrupted = corrupt(tokens, prompt, answer, self.mask_id, self.generator, self.block_weight)
        hidden, _ = self.network(corrupted.inputs)
        chosen = loss_positions(corrupted.weights)
        weights = corrupted.weights.flatten()[chosen]
        return self.loss(self.network, hidden.flatten(0, 1)[chosen], tokens.flatten()[chosen], weights)

    def _cached_loss(self, tokens: Tensor, prompt: Tensor, answer: Tensor) -> Tensor:
        """The loss of an all-masked block, and of the block partly filled on that first forward's cache."""
        length = self.choices.choice(CACHED_BLOCK_LENGTHS)
        block = cached_block(tokens, prompt, answer, self.mask_id, length, self.generator)
        hidden, cache = self.network(block.inputs)
        first = hidden.gather(1, block.columns[..., None].expand(-1, -1, hidden.shape[-1]))
        second, _ = self.network(block.block_inputs, block.columns, None, cache, block.columns)
        both = torch.cat((first, second)).flatten(0, 1)
        weights = torch.cat((torch.ones_like(block.weights), block.weights)).flatten()
        return self.loss(self.network, both, block.targets.repeat(2, 1).flatten(), weights)

    def _upload(self, batch: Batch, slack: int) -> tuple[Tensor, Tensor, Tensor]:
        tokens, prompt, answer = (
            torch.from_numpy(array).to(self.device, non_blocking=True).long()
            for array in (batch.tokens, batch.prompt, batch.answer)
        )
        padding = tokens.new_full((len(tokens), slack), self.eos_id)
        return torch.cat((tokens, padding), dim=1), prompt, answer
