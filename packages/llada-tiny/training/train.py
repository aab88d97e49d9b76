"""Trains llada-tiny and writes the checkpoint: ``python training/train.py --out CHECKPOINT_FOLDER``.

Everything it needs it generates: tokenizer, data, held-out sets. ``--smoke`` runs the same path on a CPU in a
minute or two. Two legs, each with its own warm-up and decay; the second goes on from the first one's average.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import steering
import torch
from data import Batch, batches
from export import export
from network import Shape
from tokenizer import EOS, MASK, save_tokenizer, train_tokenizer
from tokenizers import Tokenizer
from trainer import Trainer

WARM_UP = 200
DECAY_FROM = 0.4  # share of a leg after which the learning rate falls linearly to zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A stretch of training; `peak` is its highest learning rate, as a share of the usual one."""

    steps: int
    tokens_per_batch: int
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how wide a run is."""

    legs: tuple[Leg, ...]
    shape: Shape
    tokenizer_examples: int
    held_out: int
    compiled: bool
    log_every: int


FULL = Plan(
    legs=(
        Leg(steps=12450, tokens_per_batch=65536, peak=1.0),
        Leg(steps=7850, tokens_per_batch=98304, peak=0.6),
    ),
    shape=Shape(),
    tokenizer_examples=60000,
    held_out=500,
    compiled=True,
    log_every=500,
)
SMOKE = Plan(
    legs=(Leg(steps=20, tokens_per_batch=2560, peak=1.0), Leg(steps=10, tokens_per_batch=2560, peak=0.6)),
    shape=Shape(d_model=64, n_layers=2, n_heads=2, mlp_hidden_size=96),
    tokenizer_examples=3000,
    held_out=2,
    compiled=False,
    log_every=5,
)
SCORED: list[tuple[steering.Setting, steering.Phrasings]] = [
    (steering.T90, "seen"),
    (steering.T90_DUAL, "seen"),
    (steering.T50, "seen"),
    (steering.ONE, "seen"),
    (steering.ONE, "unseen"),
]


def main() -> None:
    """Tokenizer, training, checkpoint, scores."""
    options = _options()
    plan, out = SMOKE if options.smoke else FULL, options.out
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(plan.tokenizer_examples, options.seed)
    save_tokenizer(tokenizer, out)
    trainer = _trainer(plan, tokenizer, options.seed)
    for number, leg in enumerate(plan.legs):
        if number:
            trainer.go_on_from_average()
        source = batches(
            out / "tokenizer.json",
            tokens_per_batch=leg.tokens_per_batch,
            workers=0 if options.smoke else options.workers,
            seed=options.seed + number,
        )
        with closing(source):
            train(trainer, leg, source, log_every=plan.log_every)
    network = trainer.averaged()
    export(network, tokenizer, out)
    results = steering.report(network, tokenizer, SCORED, n=plan.held_out)
    (out / "scores.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def train(trainer: Trainer, leg: Leg, source: Iterator[Batch], *, log_every: int) -> None:
    """Runs one leg."""
    began, waited = time.perf_counter(), 0.0
    for step in range(leg.steps):
        asked = time.perf_counter()
        batch = next(source)
        waited += time.perf_counter() - asked
        loss = trainer.step(batch, leg.peak * rate_at(step, leg.steps))
        if step % log_every == 0 or step == leg.steps - 1:
            seconds = time.perf_counter() - began
            print(
                f"step {step} loss {loss.item():.4f} {seconds:.0f} s, {waited:.1f} s of it for data",
                flush=True,
            )


def rate_at(step: int, steps: int) -> float:
    """The learning rate's share: a warm-up, a plateau, a linear fall."""
    return min(1.0, (step + 1) / WARM_UP, (1 - step / steps) / (1 - DECAY_FROM))


def _trainer(plan: Plan, tokenizer: Tokenizer, seed: int) -> Trainer:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mask_id, eos_id = tokenizer.token_to_id(MASK), tokenizer.token_to_id(EOS)
    trainer = Trainer(plan.shape, mask_id=mask_id, eos_id=eos_id, seed=seed, device=device)
    if plan.compiled:
        trainer.compile()
    print(f"{sum(p.numel() for p in trainer.network.parameters()):,} parameters on {device}", flush=True)
    return trainer


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="receives the checkpoint and scores.json")
    parser.add_argument("--smoke", action="store_true", help="tiny settings for a CPU")
    parser.add_argument("--workers", type=int, default=14, help="processes that make data; part of the seed")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
