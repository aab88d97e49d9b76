"""Generated examples as batches of one static shape a bucket, made by worker processes in a fixed order.

Which examples, and how long rows are, is said by `Source`; nothing here knows the tasks.
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizer import END_OF_TURN, EOS, render
from tokenizers import Tokenizer

from llada_tiny.tasks import Instance

PROMOTED = 0.35  # share of the rows that may go to a longer bucket than they need: windows vary
ENCODED_AT_ONCE = 512
Pair = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where examples come from, and the rows that they make.

    A row is a prompt and the window behind it. `cut` is the share of the rows whose window ends inside the
    answer: there a canvas is too short, and no end marker tells it.
    """

    examples: Callable[[int], Iterator[Instance]]
    edges: tuple[int, ...]
    min_window: int
    cut: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one length: tokens [rows, edge]; prompt and answer lengths [rows], the end marker counted.

    Where rows are `cut`, no answer is whole and nothing may stand behind it.
    """

    tokens: NDArray[np.int16]
    prompt: NDArray[np.int16]
    answer: NDArray[np.int16]
    cut: bool


def batches(
    source: Source, tokenizer_file: Path, *, tokens_per_batch: int, workers: int, seed: int
) -> Iterator[Batch]:
    """Batches without end; the same arguments give the same batches in the same order."""
    if workers == 0:
        yield from _stream(source, tokenizer_file, tokens_per_batch, seed)
        return
    context = mp.get_context("spawn")
    queues = [context.Queue(maxsize=24) for _ in range(workers)]
    jobs = [
        context.Process(
            target=_work,
            args=(queue, source, tokenizer_file, tokens_per_batch, seed * 1000 + number),
            daemon=True,
        )
        for number, queue in enumerate(queues)
    ]
    for job in jobs:
        job.start()
    try:
        while True:
            for queue in queues:
                yield Batch(*queue.get())
    finally:
        for job in jobs:
            job.terminate()


def encode(tokenizer: Tokenizer, examples: list[Instance]) -> Iterator[Pair]:
    """Prompt ids, and answer ids with the end marker."""
    prompts = tokenizer.encode_batch_fast([render(example.messages) for example in examples])
    answers = tokenizer.encode_batch_fast([example.reference + END_OF_TURN for example in examples])
    for prompt, answer in zip(prompts, answers, strict=True):
        yield prompt.ids, answer.ids


def _work(
    queue: mp.Queue[tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16], bool]],
    source: Source,
    tokenizer_file: Path,
    tokens_per_batch: int,
    seed: int,
) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for batch in _stream(source, tokenizer_file, tokens_per_batch, seed):
        queue.put((batch.tokens, batch.prompt, batch.answer, batch.cut))


def _stream(source: Source, tokenizer_file: Path, tokens_per_batch: int, seed: int) -> Iterator[Batch]:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    eos = tokenizer.token_to_id(EOS)
    rng = np.random.default_rng(seed)
    examples = source.examples(seed)
    waiting: dict[tuple[int, bool], list[Pair]] = defaultdict(list)
    while True:
        for pair in encode(tokenizer, list(islice(examples, ENCODED_AT_ONCE))):
            bucket = _bucket(source, pair, rng)
            if bucket is None:
                continue
            waiting[bucket].append(pair)
            if len(waiting[bucket]) * bucket[0] >= tokens_per_batch:
                yield _rows(waiting.pop(bucket), *bucket, eos)


def _bucket(source: Source, pair: Pair, rng: np.random.Generator) -> tuple[int, bool] | None:
    """The row's length, and whether it cuts the answer; None where no row is long enough."""
    prompt, answer = len(pair[0]), len(pair[1])
    if source.cut and rng.random() < source.cut:
        short = [edge for edge in source.edges if prompt + source.min_window <= edge < prompt + answer]
        if short:
            return short[rng.integers(len(short))], True
    fitting = [edge for edge in source.edges if edge >= prompt + max(source.min_window, answer + 1)]
    if not fitting:
        return None
    return fitting[rng.integers(len(fitting))] if rng.random() < PROMOTED else fitting[0], False


def _rows(pairs: list[Pair], edge: int, cut: bool, eos: int) -> Batch:
    tokens = np.full((len(pairs), edge), eos, dtype=np.int16)
    for row, (prompt, answer) in zip(tokens, pairs, strict=True):
        row[: len(prompt)] = prompt
        window = row[len(prompt) : len(prompt) + len(answer)]
        window[:] = answer[: len(window)]
    prompts = np.array([len(prompt) for prompt, _ in pairs], dtype=np.int16)
    answers = np.array([min(len(answer), edge - len(prompt)) for prompt, answer in pairs], dtype=np.int16)
    return Batch(tokens, prompts, answers, cut)
