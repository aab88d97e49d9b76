"""Time rollouts of one session against a loop of ``generate`` calls: the same prompts, samples and seeds.

    python benchmarks/rollouts.py [--prompts 24] [--n 4] [--rows 4 16 32] [--repeat 3] [--json FILE]
    python benchmarks/rollouts.py --device cuda --model 8b --rows 1 8 32 64

In one run, in turns: ``lm.rollouts`` with so many rows in flight, and ``lm.generate`` once for each answer.
Both draw the same tokens, or the program stops, where a row's bits do not depend on its neighbours (float32
on a CPU). Printed are tokens a second of the clock and of the processor, medians of the repeats, then what a
trajectory costs, what it costs to submit requests before the first step, and what exchanging weights and
sleeping take. ``--model 8b`` is LLaDA-8B's shape with random weights in bfloat16: its answers are noise, and
run to their full length. ``--small`` makes that a few small layers, to try the program out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from counts import positive
from gpu_8b import LLADA_8B, SMALL, random_model
from outputs import output

import llada_core
from llada_core import GenerationRequest, LoadedModel
from llada_core.generation.model import Model
from llada_runtime.network.graphs import graphed
from llada_runtime.network.warmup import warm_up
from llada_tiny.tasks import held_out

TINY = {"max_tokens": 64, "temperature": 0.7, "threshold": 0.9, "seed": 1}
NOISE = {
    "max_tokens": 128,
    "temperature": 0.7,
    "steps": 32,
    "threshold": None,
    "early_stop": False,
    "seed": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One way of drawing the answers; seconds are medians."""

    way: str
    rows: int
    answers: int
    tokens: int
    forwards: int
    seconds: float
    processor_seconds: float


def main() -> None:
    options = _options()
    lm, prompts, asked = _subject(options)
    print(_about(options))
    found: list[Timing] = []
    wanted: list[Any] = []
    for rows in options.rows:
        for way, answer in _ways(lm, prompts, asked, options.n, rows, with_loop=rows == options.rows[0]):
            timing, drawn = _timed(way, rows, answer, options)
            found.append(timing)
            _print(timing, found[0])
            wanted = wanted or drawn
            if options.device == "cpu" and drawn != wanted:
                raise SystemExit(f"{way} with {rows} rows draws other tokens")
    further = {**_submitting(lm, prompts[0], asked), **_rounds(lm)}
    for what, value in further.items():
        print(f"{what}: {value:.4g}")
    if options.json:
        run = {"about": _about(options), "rows": [asdict(each) for each in found], "further": further}
        options.json.write_text(json.dumps(run, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=("tiny", "8b"), default="tiny")
    parser.add_argument("--small", action="store_true", help="a few small layers in the place of 8b's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--algorithm", default="dual_cache")
    parser.add_argument("--prompts", type=positive, default=24)
    parser.add_argument("--n", type=positive, default=4)
    parser.add_argument("--rows", type=positive, nargs="+", default=[4, 16, 32])
    parser.add_argument("--repeat", type=positive, default=3)
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def _subject(options: argparse.Namespace) -> tuple[LoadedModel, list[Any], dict[str, Any]]:
    """The model, the prompts and the parameters."""
    if options.model == "tiny":
        lm = llada_core.load_model(engine="fast-dllm", device=options.device)
        tasks = held_out("word_problems", n=options.prompts, seed=5)
        return lm, [task.messages for task in tasks], {**TINY, "algorithm": options.algorithm}
    lm = _random(options)
    draw, vocabulary = torch.Generator().manual_seed(0), lm.model.limits.vocab_size or 0
    lengths = torch.randint(32, 256, (options.prompts,), generator=draw).tolist()
    usable = min(vocabulary, 1000)
    prompts = [torch.randint(0, usable, (length,), generator=draw).tolist() for length in lengths]
    return lm, prompts, {**NOISE, "algorithm": options.algorithm}


def _random(options: argparse.Namespace) -> LoadedModel:
    """A model of LLaDA-8B's shape that nobody has trained, loaded as every other is."""
    lm = llada_core.load_model(engine="fast-dllm", device="cpu")
    fields = {**LLADA_8B, **(SMALL if options.small else {})}
    dtype = torch.float32 if options.device == "cpu" else torch.bfloat16
    network = graphed(random_model(fields, torch.device(options.device), dtype).pack())
    warm_up(network)
    lm._model = Model.of(network, path="8B, random")  # there is no checkpoint of it to load
    return lm


Run = Callable[[], list[Any]]


def _ways(
    lm: LoadedModel, prompts: list[Any], asked: dict[str, Any], n: int, rows: int, *, with_loop: bool
) -> list[tuple[str, Run]]:
    def looped() -> list[Any]:
        seed = asked["seed"]
        numbered = [prompt for prompt in prompts for _ in range(n)]
        return [lm.generate(prompt, **{**asked, "seed": seed + k}) for k, prompt in enumerate(numbered)]

    def rolled(trajectory: bool) -> Run:
        def run() -> list[Any]:
            found = [*lm.rollouts(prompts, n=n, rows=rows, trajectory=trajectory, **asked)]
            return [each.result for each in sorted(found, key=lambda each: (each.prompt, each.sample))]

        return run

    ways = [("rollouts", rolled(False)), ("rollouts with trajectories", rolled(True))]
    return [("loop of generate", looped), *ways] if with_loop else ways


def _timed(way: str, rows: int, run: Run, options: argparse.Namespace) -> tuple[Timing, list[Any]]:
    run()  # kernels, graphs and products are made
    clock, processor, results = [], [], []
    for _ in range(options.repeat):
        begin = time.perf_counter(), time.process_time()
        results = run()
        clock.append(time.perf_counter() - begin[0])
        processor.append(time.process_time() - begin[1])
    timing = Timing(
        way=way,
        rows=1 if way == "loop of generate" else rows,
        answers=len(results),
        tokens=sum(each.completion_tokens for each in results),
        forwards=sum(each.nfe for each in results),
        seconds=statistics.median(clock),
        processor_seconds=statistics.median(processor),
    )
    return timing, [each.token_ids for each in results]


def _submitting(lm: LoadedModel, prompt: Any, asked: dict[str, Any]) -> dict[str, float]:
    """Microseconds a request, of 1,000 and of 8,000 that are submitted before the first step, and of letting
    them go."""
    found = {}
    parameters = {name: value for name, value in asked.items() if name != "algorithm"}
    request = GenerationRequest(
        prompt=lm.model.encode(prompt), algorithm=asked["algorithm"], parameters=parameters
    )
    for count in (1000, 8000):
        with lm.session() as session:
            begin = time.process_time()
            for _ in range(count):
                session.submit(request)
            found[f"us a submit of {count}"] = (time.process_time() - begin) / count * 1e6
            begin = time.process_time()
        found[f"us a request let go of {count}"] = (time.process_time() - begin) / count * 1e6
    return found


def _rounds(lm: LoadedModel) -> dict[str, float]:
    """Seconds of exchanging all weights and of sleeping, and the memory that is free meanwhile."""
    network = lm.model.network
    inner = getattr(network, "network", network)
    names = type(inner)(inner.config, device=torch.device("meta"), dtype=inner.dtype).tensors()
    draw = torch.Generator(inner.device).manual_seed(1)
    weights = {
        name: torch.randn(each.shape, device=inner.device, dtype=each.dtype, generator=draw) * 0.02
        for name, each in names.items()
    }
    exchanged = _seconds(inner.device, partial(lm.load_weights, weights))
    found = {"s to exchange all weights": exchanged}
    weights.clear()
    for level in (1, 2):
        before = _held(inner.device)
        found[f"s to sleep at level {level}"] = _seconds(inner.device, partial(lm.sleep, level=level))
        found[f"MB free at level {level}"] = (before - _held(inner.device)) / 1e6
        found[f"s to wake from level {level}"] = _seconds(inner.device, lm.wake)
    return found


def _seconds(device: torch.device, what: Callable[[], object]) -> float:
    begin = time.perf_counter()
    what()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _held(device: torch.device) -> float:
    """Bytes that the process has: of a GPU's memory, or resident."""
    if device.type == "cuda":
        return float(torch.cuda.memory_reserved())
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * 4096)


def _about(options: argparse.Namespace) -> str:
    device = (
        torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return (
        f"torch {torch.__version__}, {device}, model {options.model}, {options.algorithm}, "
        f"{options.prompts} prompts, {options.n} answers each, medians of {options.repeat}"
    )


def _print(timing: Timing, first: Timing) -> None:
    rate = timing.tokens / timing.seconds
    times = (timing.tokens / timing.processor_seconds) / (first.tokens / first.processor_seconds)
    print(
        f"{timing.way:28} rows {timing.rows:3} {timing.tokens:6} tokens {timing.forwards:6} forwards "
        f"{timing.seconds:8.2f} s {rate:9.1f} tok/s {first.seconds / timing.seconds:5.2f}x "
        f"(processor {times:5.2f}x)"
    )


if __name__ == "__main__":
    main()
