"""Generated examples as batches of one static shape a bucket, made by worker processes in a fixed order."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizer import END_OF_TURN, EOS, render
from tokenizers import Tokenizer

from llada_tiny.tasks import Instance, training_stream

EDGES = (96, 128, 160, 208, 272, 352)  # row lengths; a row is a prompt and the window behind it
MIN_WINDOW = 64
PROMOTED = 0.35  # share of the rows that may go to a longer bucket than they need: windows vary
ENCODED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one length: tokens [rows, edge]; prompt and answer lengths [rows], the end marker counted."""

    tokens: NDArray[np.int16]
    prompt: NDArray[np.int16]
    answer: NDArray[np.int16]


def batches(tokenizer_file: Path, *, tokens_per_batch: int, workers: int, seed: int) -> Iterator[Batch]:
    """Batches without end; the same arguments give the same batches in the same order."""
    if workers == 0:
        yield from _stream(tokenizer_file, tokens_per_batch, seed)
        return
    context = mp.get_context("spawn")
    queues = [context.Queue(maxsize=24) for _ in range(workers)]
    jobs = [
        context.Process(
            target=_work, args=(queue, tokenizer_file, tokens_per_batch, seed * 1000 + number), daemon=True
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


def encode(tokenizer: Tokenizer, examples: list[Instance]) -> Iterator[tuple[list[int], list[int]]]:
    """Prompt ids, and answer ids with the end marker."""
    prompts = tokenizer.encode_batch_fast([render(example.messages) for example in examples])
    answers = tokenizer.encode_batch_fast([example.reference + END_OF_TURN for example in examples])
    for prompt, answer in zip(prompts, answers, strict=True):
        yield prompt.ids, answer.ids


def _work(
    queue: mp.Queue[tuple[NDArray[np.int16], ...]], tokenizer_file: Path, tokens_per_batch: int, seed: int
) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for batch in _stream(tokenizer_file, tokens_per_batch, seed):
        queue.put((batch.tokens, batch.prompt, batch.answer))


def _stream(tokenizer_file: Path, tokens_per_batch: int, seed: int) -> Iterator[Batch]:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    eos = tokenizer.token_to_id(EOS)
    rng = np.random.default_rng(seed)
    examples = training_stream(seed)
    waiting: dict[int, list[tuple[list[int], list[int]]]] = {edge: [] for edge in EDGES}
    while True:
        for prompt, answer in encode(tokenizer, list(islice(examples, ENCODED_AT_ONCE))):
            need = len(prompt) + max(MIN_WINDOW, len(answer) + 1)
            fitting = [edge for edge in EDGES if edge >= need]
            if not fitting:
                continue
            edge = fitting[rng.integers(len(fitting))] if rng.random() < PROMOTED else fitting[0]
            waiting[edge].append((prompt, answer))
            if len(waiting[edge]) * edge >= tokens_per_batch:
                yield _rows(waiting[edge], edge, eos)
                waiting[edge] = []


def _rows(pairs: list[tuple[list[int], list[int]]], edge: int, eos: int) -> Batch:
    tokens = np.full((len(pairs), edge), eos, dtype=np.int16)
    for row, (prompt, answer) in zip(tokens, pairs, strict=True):
        row[: len(prompt)] = prompt
        row[len(prompt) : len(prompt) + len(answer)] = answer
    lengths = np.array([(len(prompt), len(answer)) for prompt, answer in pairs], dtype=np.int16)
    return Batch(tokens, lengths[:, 0], lengths[:, 1])
