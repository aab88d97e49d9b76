"""Trains llada-tiny and writes the checkpoint: ``python training/train.py --out CHECKPOINT_FOLDER``.

Everything it needs it generates: tokenizer, data, held-out sets. ``--smoke`` runs the same path on a CPU in a minute.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

import steering
from data import Batch, batches
from export import export, load_published
from loss import cached_block, corrupt, loss_positions, weighted_loss
from network import Network, Shape
from optimizer import Optimizer
from tokenizer import EOS, MASK, save_tokenizer, train_tokenizer

WARM_UP = 200
DECAY_FROM = 0.4  # share of the run after which the learning rate falls linearly to zero
LONGEST_SLACK = 32  # columns of padding added to a batch, so that the canvas ends anywhere
CACHED_SHARE = 0.25  # share of the steps that train on cached blocks
CACHED_BLOCK_LENGTHS = (16, 32, 32, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how wide a run is."""

    steps: int
    max_seconds: float  # a safety net: the schedule finishes by then even if steps are slower than expected
    tokens_per_batch: int
    workers: int
    shape: Shape
    tokenizer_examples: int
    held_out: int
    seed: int
    compiled: bool
    log_every: int
    peak: float = 1.0  # the highest learning rate, as a share of the usual one


FULL = Plan(
    steps=40000, max_seconds=3600, tokens_per_batch=98304, workers=14, shape=Shape(), tokenizer_examples=60000,
    held_out=500, seed=1, compiled=True, log_every=500,
)  # fmt: skip
SMOKE = Plan(
    steps=30, max_seconds=60, tokens_per_batch=2560, workers=0, shape=Shape(d_model=64, n_layers=2, n_heads=2, mlp_hidden_size=96),
    tokenizer_examples=3000, held_out=2, seed=1, compiled=False, log_every=5,
)  # fmt: skip


class Trainer:
    """One network in training: turns batches into steps."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer, device: str) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.device = plan, device
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.mask_id, self.eos_id = tokenizer.token_to_id(MASK), tokenizer.token_to_id(EOS)
        self.network = Network(plan.shape, self.dtype).to(device)
        self.optimizer = Optimizer(self.network)
        self.choices = random.Random(plan.seed)
        self.generator = torch.Generator(device).manual_seed(plan.seed)
        self.loss = torch.compile(weighted_loss, dynamic=True) if plan.compiled else weighted_loss
        torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for each of our many shapes
        if plan.compiled:
            for block in self.network.blocks:
                block.compile(dynamic=True)

    def step(self, batch: Batch, rate: float) -> Tensor:
        """One update; returns the loss without waiting for it."""
        tokens, prompt, answer = self._upload(batch, self.choices.randrange(0, LONGEST_SLACK + 1, 8))
        cached = self.choices.random() < CACHED_SHARE
        loss = (self._cached_loss if cached else self._full_loss)(tokens, prompt, answer)
        loss.backward()
        self.optimizer.step(rate)
        return loss.detach()

    def _full_loss(self, tokens: Tensor, prompt: Tensor, answer: Tensor) -> Tensor:
        corrupted = corrupt(tokens, prompt, answer, self.mask_id, self.generator)
        hidden, _ = self.network(corrupted.inputs)
        chosen = loss_positions(corrupted.weights)
        return self._loss_at(hidden.flatten(0, 1)[chosen], tokens.flatten()[chosen], corrupted.weights.flatten()[chosen])

    def _cached_loss(self, tokens: Tensor, prompt: Tensor, answer: Tensor) -> Tensor:
        """The loss of a block that is all masked, and of the same block partly filled on the first forward's cache."""
        length = self.choices.choice(CACHED_BLOCK_LENGTHS)
        block = cached_block(tokens, prompt, answer, self.mask_id, length, self.generator)
        hidden, cache = self.network(block.inputs)
        first = hidden.gather(1, block.columns[..., None].expand(-1, -1, hidden.shape[-1]))
        second, _ = self.network(block.block_inputs, block.columns, None, cache, block.columns)
        both = torch.cat((first, second)).flatten(0, 1)
        weights = torch.cat((torch.ones_like(block.weights), block.weights)).flatten()
        return self._loss_at(both, block.targets.repeat(2, 1).flatten(), weights)

    def _loss_at(self, hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return self.loss(self.network, hidden, targets, weights)

    def start_from(self, folder: Path) -> None:
        """Takes over a checkpoint's parameters."""
        load_published(self.network, folder)
        self.optimizer.restart_average()

    def averaged(self) -> Network:
        """A network with the averaged parameters, rounded as they are published."""
        network = Network(self.plan.shape, self.dtype).to(self.device)
        self.optimizer.copy_average_to(network)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(parameter.bfloat16())
        return network.requires_grad_(False)

    def _upload(self, batch: Batch, slack: int) -> tuple[Tensor, Tensor, Tensor]:
        tokens, prompt, answer = (
            torch.from_numpy(array).to(self.device, non_blocking=True).long()
            for array in (batch.tokens, batch.prompt, batch.answer)
        )
        padding = tokens.new_full((len(tokens), slack), self.eos_id)
        return torch.cat((tokens, padding), dim=1), prompt, answer


def rate_at(progress: float, step: int) -> float:
    """The learning rate's share: a warm-up, a plateau, a linear fall."""
    return min(1.0, (step + 1) / WARM_UP, (1 - progress) / (1 - DECAY_FROM))


def train(trainer: Trainer, source: Iterator[Batch]) -> None:
    """Runs the plan's steps."""
    plan, began = trainer.plan, time.perf_counter()
    waited = 0.0
    for step in range(plan.steps):
        progress = max(step / plan.steps, (time.perf_counter() - began) / plan.max_seconds)
        if progress >= 1:
            break
        asked = time.perf_counter()
        batch = next(source)
        waited += time.perf_counter() - asked
        loss = trainer.step(batch, plan.peak * rate_at(progress, step))
        if step % plan.log_every == 0 or step == plan.steps - 1:
            seconds = time.perf_counter() - began
            print(f"step {step} loss {loss.item():.4f} {seconds:.0f} s, {waited:.1f} s of it for data", flush=True)


def main() -> None:
    """Tokenizer, training, checkpoint, scores."""
    arguments = _arguments()
    plan = SMOKE if arguments.smoke else FULL
    plan = Plan(**{name: getattr(arguments, name, None) or getattr(plan, name) for name in Plan.__slots__})
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(plan, arguments.start_from)
    save_tokenizer(tokenizer, out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(plan, tokenizer, device)
    if arguments.start_from:
        trainer.start_from(arguments.start_from)
    print(f"{sum(p.numel() for p in trainer.network.parameters()):,} parameters on {device}", flush=True)
    source = batches(
        out / "tokenizer.json", tokens_per_batch=plan.tokens_per_batch, workers=plan.workers, seed=plan.seed
    )
    train(trainer, source)
    network = trainer.averaged()
    export(network, tokenizer, out)
    results = steering.report(network, tokenizer, _scoring(), n=plan.held_out)
    (out / "scores.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def _tokenizer(plan: Plan, start_from: Path | None) -> Tokenizer:
    if start_from:
        return Tokenizer.from_file(str(start_from / "tokenizer.json"))
    return train_tokenizer(plan.tokenizer_examples, plan.seed)


def _scoring() -> list[tuple[steering.Setting, steering.Phrasings]]:
    return [
        (steering.T90, "seen"),
        (steering.ONE, "seen"),
        (steering.ONE, "unseen"),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that receives the checkpoint and scores.json")
    parser.add_argument("--smoke", action="store_true", help="tiny settings that a CPU runs in a minute")
    parser.add_argument("--start-from", type=Path, help="a checkpoint folder to go on from")
    parser.add_argument("--peak", type=float, help="highest learning rate, as a share of the usual one")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--max-seconds", type=float)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--held-out", type=int)
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
