"""What a run trains: the tasks, the rows, where it starts, its legs, and what it is asked at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import steering
from data import Source
from network import Shape
from steering import Examination, Setting
from tokenizer import train_tokenizer
from tokenizers import Tokenizer

import llada_tiny
from llada_tiny.tasks import Phrasings

WARM_UP = 200  # steps
DECAY_FROM = 0.4  # share of a leg after which the learning rate falls linearly to zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A stretch of training, so many steps or so many seconds.

    `peak` is its highest learning rate, as a share of the usual one.
    """

    tokens_per_batch: int
    peak: float
    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, elapsed: float) -> float:
        """The share of the leg that is behind us, from 0; at 1 it ends."""
        if self.steps is not None:
            return step / self.steps
        assert self.seconds is not None
        return elapsed / self.seconds

    def rate(self, step: int, progress: float) -> float:
        """The learning rate's share: a warm-up, a plateau, a linear fall."""
        return self.peak * min(1.0, (step + 1) / WARM_UP, (1 - progress) / (1 - DECAY_FROM))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run. `start` is a checkpoint's folder to go on from; without one a tokenizer is trained first."""

    tasks: str
    edges: tuple[int, ...]
    min_window: int
    legs: tuple[Leg, ...]
    scored: tuple[tuple[Setting, Phrasings], ...]
    held_out: int
    gen_length: int
    shape: Shape = field(default_factory=Shape)
    start: Path | None = None
    cut: float = 0.0
    block_weight: float = 2.0
    tokenizer_examples: int = 60000
    compiled: bool = True
    log_every: int = 500
    probe_every: float | None = None  # seconds from one averaged checkpoint and its scores to the next
    probed: int = 16  # instances of each family

    def module(self) -> ModuleType:
        """The tasks."""
        return import_module(self.tasks)

    def source(self) -> Source:
        """The rows that training draws."""
        return Source(
            examples=self.module().training_stream,
            edges=self.edges,
            min_window=self.min_window,
            cut=self.cut,
        )

    def asked(self, n: int) -> Examination:
        """An examination with so many instances of each family."""
        return Examination(tasks=self.module(), n=n, gen_length=self.gen_length)

    def tokenizer(self, seed: int) -> Tokenizer:
        """That of the checkpoint to go on from, or a new one."""
        if self.start is not None:
            return Tokenizer.from_file(str(self.start / "tokenizer.json"))
        return train_tokenizer(self.module().training_stream, self.tokenizer_examples, seed)


TINY = Plan(
    tasks="llada_tiny.tasks",
    edges=(96, 128, 160, 208, 272, 352),
    min_window=64,
    legs=(
        Leg(steps=12450, tokens_per_batch=65536, peak=1.0),
        Leg(steps=7850, tokens_per_batch=98304, peak=0.6),
    ),
    scored=(
        (steering.T90, "seen"),
        (steering.T90_DUAL, "seen"),
        (steering.T50, "seen"),
        (steering.ONE, "seen"),
        (steering.ONE, "unseen"),
    ),
    held_out=500,
    gen_length=128,
)
# Blocks weigh more than in TINY: a window of 448 positions has as many more beside a block's 32.
LONG = Plan(
    tasks="llada_tiny_long.tasks",
    edges=(160, 224, 288, 352, 416, 480, 560, 640),
    min_window=96,
    legs=(
        Leg(seconds=440, tokens_per_batch=98304, peak=0.8),
        Leg(seconds=310, tokens_per_batch=98304, peak=0.6),
    ),
    scored=(
        (steering.T90_DUAL, "seen"),
        (steering.ONE, "seen"),
        (steering.T90, "seen"),
        (steering.T50, "seen"),
        (steering.ONE, "unseen"),
    ),
    held_out=50,
    gen_length=448,
    start=llada_tiny.model_path(),
    cut=0.1,
    block_weight=4.0,
    probe_every=60,
)


def _small(plan: Plan, *legs: Leg) -> Plan:
    """The same path with tiny settings, for a CPU."""
    return replace(
        plan,
        legs=legs,
        shape=plan.shape if plan.start else Shape(d_model=64, n_layers=2, n_heads=2, mlp_hidden_size=96),
        held_out=1,
        gen_length=64,
        probed=1,
        probe_every=plan.probe_every and 10,
        tokenizer_examples=3000,
        compiled=False,
        log_every=5,
    )


PLANS: dict[str, Callable[[bool], Plan]] = {
    "tiny": lambda smoke: (
        _small(
            TINY,
            Leg(steps=20, tokens_per_batch=2560, peak=1.0),
            Leg(steps=10, tokens_per_batch=2560, peak=0.6),
        )
        if smoke
        else TINY
    ),
    "long": lambda smoke: _small(LONG, Leg(seconds=25, tokens_per_batch=2560, peak=0.8)) if smoke else LONG,
}
