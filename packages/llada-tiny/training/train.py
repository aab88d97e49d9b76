"""Trains a checkpoint and writes its folder: ``python training/train.py --out FOLDER``.

``--plan tiny`` makes llada-tiny from nothing but its tasks: tokenizer, data, held-out sets. ``--plan long``
goes on from llada-tiny's weights with the tasks of llada-tiny-long. ``--smoke`` runs the same path on a CPU
in a minute or two. The learning rate follows steps or seconds, as the plan says: what is given in seconds
ends well on any card. ``training.json`` has every score, and answers that were wrong.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import steering
import torch
from data import Batch, batches
from export import export
from plans import PLANS, Leg, Plan
from tokenizer import EOS, MASK, save_tokenizer
from tokenizers import Tokenizer
from trainer import Trainer


class Run:
    """A plan under way: its trainer, its folder, and the scores so far."""

    def __init__(self, plan: Plan, out: Path, seed: int) -> None:
        self.plan, self.out, self.results = plan, out, list[dict[str, object]]()
        out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = plan.tokenizer(seed)
        save_tokenizer(self.tokenizer, out)
        self.trainer = _trainer(plan, self.tokenizer, seed)

    def leg(self, leg: Leg, source: Iterator[Batch]) -> None:
        """Runs one leg."""
        began = probed = time.perf_counter()
        step, waited, progress = 0, 0.0, 0.0
        while progress < 1:
            asked = time.perf_counter()
            batch = next(source)
            waited += time.perf_counter() - asked
            loss = self.trainer.step(batch, leg.rate(step, progress))
            step += 1
            seconds = time.perf_counter() - began
            progress = leg.progress(step, seconds)
            if step % self.plan.log_every == 1 or progress >= 1:
                print(
                    f"step {step} loss {loss.item():.4f} {seconds:.0f} s, {waited:.1f} s of it for data",
                    flush=True,
                )
            if self.plan.probe_every and time.perf_counter() - probed > self.plan.probe_every:
                self.save()
                self.score(steering.T90_DUAL, "seen", self.plan.probed, step=step, seconds=seconds)
                probed = time.perf_counter()

    def save(self) -> None:
        """Writes the averaged parameters as a checkpoint."""
        export(self.trainer.averaged(), self.tokenizer, self.out)

    def score(self, setting: steering.Setting, phrasings: steering.Phrasings, n: int, **when: float) -> None:
        """Scores the averaged parameters in one setting, and writes all scores."""
        asked = self.plan.asked(n)
        result = steering.report(self.trainer.averaged(), self.tokenizer, setting, asked, phrasings)
        self.results.append({**when, **result})
        (self.out / "training.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")


def main() -> None:
    """Tokenizer, training, checkpoint, scores."""
    options = _options()
    plan = PLANS[options.plan](options.smoke)
    if options.start is not None:
        plan = replace(plan, start=options.start)
    if options.peak is not None:
        plan = replace(plan, legs=tuple(replace(leg, peak=options.peak) for leg in plan.legs))
    if options.seconds is not None:
        plan = replace(
            plan, legs=tuple(replace(leg, steps=None, seconds=options.seconds) for leg in plan.legs)
        )
    run = Run(plan, options.out, options.seed)
    for number, leg in enumerate(plan.legs):
        if number:
            run.trainer.go_on_from_average()
        source = batches(
            plan.source(),
            options.out / "tokenizer.json",
            tokens_per_batch=leg.tokens_per_batch,
            workers=0 if options.smoke else options.workers,
            seed=options.seed + number,
        )
        with closing(source):
            run.leg(leg, source)
    run.save()
    for setting, phrasings in plan.scored:
        run.score(setting, phrasings, plan.held_out)


def _trainer(plan: Plan, tokenizer: Tokenizer, seed: int) -> Trainer:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(
        plan.shape,
        start=plan.start,
        block_weight=plan.block_weight,
        mask_id=tokenizer.token_to_id(MASK),
        eos_id=tokenizer.token_to_id(EOS),
        seed=seed,
        device=device,
    )
    if plan.compiled:
        trainer.compile()
    print(f"{sum(p.numel() for p in trainer.network.parameters()):,} parameters on {device}", flush=True)
    return trainer


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="receives the checkpoint and training.json")
    parser.add_argument("--plan", choices=sorted(PLANS), default="tiny")
    parser.add_argument("--smoke", action="store_true", help="tiny settings for a CPU")
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from, in place of the plan's")
    parser.add_argument("--peak", type=float, help="of the learning rate, in place of the plan's")
    parser.add_argument("--seconds", type=float, help="of each leg, in place of the plan's steps or seconds")
    parser.add_argument("--workers", type=int, default=14, help="processes that make data; part of the seed")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
