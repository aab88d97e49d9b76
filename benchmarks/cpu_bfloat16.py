"""Compare float32 and bfloat16 on the CPU: how much faster the same answers come, and how far they agree.

    python benchmarks/cpu_bfloat16.py [--model FOLDER] [--threads 1] [--repeat 3] [--json FILE]

Both load the same checkpoint and decode the same prompts, turn by turn in one process. Named are the CPU and
whether it multiplies bfloat16 in a matrix unit (AMX). Of logits it is said how far those of bfloat16 are from
float32's as a whole, and how many likeliest tokens are equal; of answers, how many are the same. "alone"
is whether every answer is the same, its confidences to the last bit, alone and in one batch with the others.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from counts import positive
from cpu_vs_upstream import PROMPTS
from outputs import output

import llada_core
import llada_tiny
from llada_core.generation.results import GenerationRequest
from llada_core.loading import LoadedModel
from llada_core.machine import multiplies_bfloat16, processor

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One algorithm over all prompts, one after the other; seconds are the least of the repeats."""

    algorithm: str
    float32_seconds: float
    bfloat16_seconds: float
    same_answers: int
    answers: int
    alone: bool


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    unit = "with AMX" if multiplies_bfloat16() else "without AMX"
    print(f"{processor()}, {unit}, torch {torch.__version__}, {options.threads} thread(s)")
    loaded = [llada_core.load_model(options.model, device="cpu", dtype=dtype) for dtype in DTYPES]
    error, equal = _agreement(*loaded)
    print(f"logits differ by {error:.2e}, {equal:.1%} of the likeliest tokens are equal")
    print(f"{'algorithm':<18}{'float32 s':>10}{'bfloat16 s':>11}{'faster':>8}{'same':>8}  alone")
    rows = [_compared(name, loaded, options) for name in options.algorithms]
    if options.json:
        found = {"cpu": processor(), "amx": multiplies_bfloat16(), "error": error, "equal_tokens": equal}
        options.json.write_text(json.dumps(found | {"rows": [asdict(row) for row in rows]}) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=llada_tiny.model_path())
    parser.add_argument("--algorithms", nargs="+", default=["basic", "prefix_cache", "dual_cache"])
    parser.add_argument("--max-tokens", type=positive, default=128)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--repeat", type=positive, default=3)
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def _agreement(one: LoadedModel, other: LoadedModel) -> tuple[float, float]:
    """Relative error of the second's logits, and the share of likeliest tokens that are equal."""
    found: tuple[list[torch.Tensor], ...] = ([], [])
    for prompt in PROMPTS:
        ids = torch.tensor([one.model.encode([{"role": "user", "content": prompt}])])
        mask = one.model.network.config.mask_token_id
        canvas = torch.cat((ids, torch.full((1, 64), mask)), dim=1)
        for logits, lm in zip(found, (one, other), strict=True):
            logits.append(lm.model.network(canvas)[0].float())
    wanted, got = (torch.cat(each) for each in found)
    error = (got - wanted).norm() / wanted.norm()
    return error.item(), (got.argmax(-1) == wanted.argmax(-1)).float().mean().item()


def _compared(name: str, loaded: list[LoadedModel], options: argparse.Namespace) -> Comparison:
    seconds, texts = [float("inf")] * 2, [list[str](), list[str]()]
    for _ in range(options.repeat):
        for at, lm in enumerate(loaded):
            begin = time.perf_counter()
            texts[at] = [_answered(lm, name, [prompt], options)[0][0] for prompt in PROMPTS]
            seconds[at] = min(seconds[at], time.perf_counter() - begin)
    lm = loaded[1]
    alone = [_answered(lm, name, [prompt], options)[0] for prompt in PROMPTS]
    row = Comparison(
        algorithm=name, float32_seconds=seconds[0], bfloat16_seconds=seconds[1],
        same_answers=sum(a == b for a, b in zip(*texts, strict=True)), answers=len(PROMPTS),
        alone=alone == _answered(lm, name, list(PROMPTS), options),
    )  # fmt: skip
    print(
        f"{name:<18}{row.float32_seconds:>10.3f}{row.bfloat16_seconds:>11.3f}"
        f"{row.float32_seconds / row.bfloat16_seconds:>7.2f}x{row.same_answers:>5} of {row.answers}"
        f"  {'the same bits' if row.alone else 'OTHERWISE'}",
        flush=True,
    )
    return row


def _answered(lm: LoadedModel, name: str, prompts: list[str], options: argparse.Namespace) -> list[Any]:
    """Text and confidences of each answer."""
    requests = [
        GenerationRequest(
            prompt=prompt,
            algorithm=name,
            logprobs=0,
            parameters={"gen_length": options.max_tokens, "threshold": 0.9},
        )
        for prompt in prompts
    ]
    return [(result.text, result.confidence) for result in lm.generate_batch(requests)]


if __name__ == "__main__":
    main()
