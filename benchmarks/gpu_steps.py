"""Time what a step takes on a GPU, with fused kernels and CUDA graphs and without, in the shape of LLaDA-8B.

    python benchmarks/gpu_steps.py [--rows 1 8 32] [--loop-rows 1 8] [--quantization fp8 int8] [--json FILE]

A block step computes 32 columns a row that attend to 768; a refresh computes all 768, and logits of 32. They
are timed alone, many in a row, and as a share of the limit: the time to read weights and keys once, at the
rate at which a large copy reads and writes. "chosen" is a step in a graph that ends with the likeliest token
of each column and its probability, as decoding has it; "graphed" is one that leaves logits. Then whole
answers of `dual_cache` at one and four tokens a step: 256 tokens after a prompt of 512, in blocks of 32.
"first" is the first answer, with the captures in it. The weights are random. "warm-up" is what loading a
checkpoint does, compiling of kernels included. With `--quantization` the same follows for the same weights in
eight bits, on kernels alone, and how far their logits are from those of bfloat16, relative to these as a
whole, and how many likeliest tokens are equal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from counts import positive
from gpu_8b import LLADA_8B, SMALL, bandwidth, random_model
from outputs import output

import llada_core
from llada_runtime import KVCache, LLaDAModel, Network
from llada_runtime.network.capture import CudaGraphs
from llada_runtime.network.graphs import Graphed, graphed
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.likeliest import Likeliest
from llada_runtime.network.warmup import warm_up

KEYS, WIDTH, PROMPT, GENERATED = 768, 32, 512, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One kind of forward at one number of rows, in milliseconds; ``limit`` is what its bytes take."""

    kind: str
    kernels: bool
    rows: int
    limit: float
    eager: float
    graphed: float | None = None
    chosen: float | None = None
    capture: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Logits of a kind of forward of one row with weights of eight bits, against bfloat16."""

    kind: str
    error: float
    equal_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`dual_cache` at so many rows and tokens a step; seconds of the first answer and the best later one."""

    kernels: bool
    graphs: bool
    rows: int
    tokens_a_step: int
    nfe: int
    captures: int
    first: float
    seconds: float

    @property
    def milliseconds_a_forward(self) -> float:
        return self.seconds / self.nfe * 1000

    @property
    def tokens_a_second(self) -> float:
        return self.rows * GENERATED / self.seconds


class Counted(CudaGraphs):
    """Graphs, and how many there have been."""

    captures = 0

    def __call__(self, work: Callable[[], object]) -> Callable[[], object]:
        self.captures += 1
        return super().__call__(work)


def main() -> None:
    options = _options()
    rate, card = bandwidth(torch.device("cuda")), torch.cuda.get_device_name()
    print(f"{card}, torch {torch.__version__}, a copy reads and writes {rate / 1e12:.2f} TB/s")
    found: dict[str, Any] = {"card": card, "torch": torch.__version__, "bytes_a_second": rate}
    wanted: dict[str, torch.Tensor] = {}
    for kind in (None, *options.quantization):
        found[kind or "bfloat16"] = _measured(kind, wanted, options, rate)
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found) + "\n")


def _measured(
    kind: str | None, wanted: dict[str, torch.Tensor], options: argparse.Namespace, rate: float
) -> dict[str, Any]:
    """Everything of the model with its weights in eight bits of this ``kind``, or in bfloat16."""
    model = random_model({**LLADA_8B, **(SMALL if options.small else {})}, torch.device("cuda"))
    if kind:
        model.quantise(kind)
    seconds = warm_up(graphed(model))
    print(f"\n{kind or 'bfloat16'}: {model.plain_because or 'fused kernels'}, warm-up {seconds or 0:.1f} s")
    return {
        "warm_up": seconds,
        "agreements": [asdict(each) for each in _agreements(model, wanted)],
        "forwards": [asdict(each) for each in _forwards(model, options.rows, rate)],
        "answers": [asdict(each) for each in _answers(model, options.loop_rows, options.repeat)],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--loop-rows", type=positive, nargs="+", default=[1, 8])
    parser.add_argument("--quantization", nargs="*", default=[], choices=("fp8", "int8"))
    parser.add_argument("--repeat", type=positive, default=2)
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--json", type=output)
    if not torch.cuda.is_available():
        sys.exit("torch sees no GPU, and nothing else is measured here")
    return parser.parse_args()


# -- single forwards


@contextmanager
def running(model: LLaDAModel, *, kernels: bool) -> Iterator[LLaDAModel]:
    """The model on fused kernels, where it can be, or on torch's own."""
    fused = model._fused
    model._fused = fused if kernels else None
    try:
        yield model
    finally:
        model._fused = fused


def _agreements(model: LLaDAModel, wanted: dict[str, torch.Tensor]) -> Iterator[Agreement]:
    """How the logits agree with the ``wanted`` ones; of a model that is not quantised they become these."""
    for kind, reads in (("step", True), ("refresh", False)):
        cache, layout = _laid_out(model, 1, reads=reads)
        logits = model.logits(layout, cache).float()
        if model.quantization is None:
            wanted[kind] = logits
            continue
        error = (logits - wanted[kind]).norm() / wanted[kind].norm()
        equal = (logits.argmax(-1) == wanted[kind].argmax(-1)).float().mean()
        print(f"{kind}: logits differ by {error:.2e}, {equal:.0%} of the tokens are equal")
        yield Agreement(kind=kind, error=error.item(), equal_tokens=equal.item())


def _ways(model: LLaDAModel) -> tuple[bool, ...]:
    """Without kernels and with them."""
    return (True,) if model.quantization else (False, True)


def _forwards(model: LLaDAModel, counts: list[int], rate: float) -> Iterator[Forward]:
    print("forward   kernels  rows  limit ms  eager ms  graphed ms  chosen ms  share  capture ms")
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    weights -= model.embedding.numel() * model.embedding.element_size()  # of which a few rows are read
    keys = KEYS * model.shape.cached_numbers * model.dtype.itemsize
    for rows in counts:
        limit = (weights + rows * keys) / rate * 1000
        for kind, reads in (("step", True), ("refresh", False)):
            for kernels in _ways(model):
                with running(model, kernels=kernels):
                    forward = _forward(model, kind, rows, limit, reads=reads, kernels=kernels)
                _print_forward(forward)
                yield forward


def _forward(model: LLaDAModel, kind: str, rows: int, limit: float, *, reads: bool, kernels: bool) -> Forward:
    cache, layout = _laid_out(model, rows, reads=reads)
    eager = _timed(lambda: model.logits(layout, cache))
    what: dict[str, Any] = {"kind": kind, "kernels": kernels, "rows": rows, "limit": limit, "eager": eager}
    if not reads:
        return Forward(**what)
    network = Graphed(model, record=CudaGraphs(model.device), after=1)
    network.logits(layout, cache)
    capture = _once(lambda: network.logits(layout, cache))
    graphed = _timed(lambda: network.logits(layout, cache))
    chosen, wanted = None, Likeliest(model.config.mask_token_id)
    if kernels and model.plain_because is None:
        chosen = _timed(lambda: network.reduced(layout, cache, wanted))
    return Forward(**what, graphed=graphed, chosen=chosen, capture=capture - graphed)


def _laid_out(model: LLaDAModel, rows: int, *, reads: bool) -> tuple[KVCache, Layout]:
    """Rows whose last columns are a block, on a cache of random keys and values."""
    torch.manual_seed(rows)
    cache = model.new_cache(columns=rows * KEYS)
    extents = [cache.take(KEYS) for _ in range(rows)]
    for index in range(model.shape.n_layers):
        for pool in cache.layer(index):
            pool.normal_()
    lo, ids = KEYS - WIDTH, torch.randint(0, 1000, (rows, KEYS)).tolist()
    first = lo if reads else 0
    spans = [
        Span(
            ids=ids[row][first:], lo=first, hi=KEYS, length=KEYS, head_lo=lo, head_hi=KEYS, extent=extent,
            reads=reads,
        )
        for row, extent in enumerate(extents)
    ]  # fmt: skip
    return cache, Layout.of(spans, device=model.device, merge=model.merges)


def _once(call: Callable[[], object]) -> float:
    """Milliseconds of one call, until the GPU has done it."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) * 1000


def _timed(call: Callable[[], object]) -> float:
    """Milliseconds a call, of many in a row: the median of five times."""
    one = min(_once(call) for _ in range(3))
    count = max(1, min(20, int(200 / one)))

    def several() -> None:
        for _ in range(count):
            call()

    return statistics.median(_once(several) / count for _ in range(5))


def _print_forward(found: Forward) -> None:
    if found.graphed is None or found.capture is None:
        print(f"{found.kind:<10}{found.kernels:>7}{found.rows:>6}{'':>10}{found.eager:>10.2f}", flush=True)
        return
    print(
        f"{found.kind:<10}{found.kernels:>7}{found.rows:>6}{found.limit:>10.2f}{found.eager:>10.2f}{found.graphed:>12.2f}"
        f"{found.chosen or float('nan'):>11.2f}{found.limit / found.graphed:>7.0%}{found.capture:>12.1f}",
        flush=True,
    )


# -- whole answers


def _answers(model: LLaDAModel, counts: list[int], repeat: int) -> Iterator[Answer]:
    print("kernels  graphs  rows  tokens a step  NFE  captures  first s  seconds  ms a forward  tokens/s")
    for rows in counts:
        for tokens in (1, 4) if rows == 1 else (4,):
            ways = ((False, False), (False, True), (True, True))
            for kernels, graphs in ways[2:] if model.quantization else ways:
                with running(model, kernels=kernels):
                    answer = _answer(model, rows, tokens, repeat, kernels=kernels, graphs=graphs)
                _print_answer(answer)
                yield answer


def _answer(model: LLaDAModel, rows: int, tokens: int, repeat: int, *, kernels: bool, graphs: bool) -> Answer:
    record = Counted(model.device)
    network: Network = Graphed(model, record=record) if graphs else model
    algorithm: Any = llada_core.get_algorithm("dual_cache")
    prompt = torch.randint(0, 1000, (rows, PROMPT), generator=torch.Generator().manual_seed(1))
    nfe = 0

    def decode() -> None:
        nonlocal nfe
        _, nfe = algorithm.generate(
            network, prompt, gen_length=GENERATED, block_length=WIDTH, steps=GENERATED // tokens,
            threshold=None, early_stop=False,
        )  # fmt: skip

    first = _once(decode) / 1000
    seconds = min(_once(decode) / 1000 for _ in range(repeat))
    return Answer(
        kernels=kernels, graphs=graphs, rows=rows, tokens_a_step=tokens, nfe=nfe, captures=record.captures,
        first=first, seconds=seconds,
    )  # fmt: skip


def _print_answer(found: Answer) -> None:
    print(
        f"{found.kernels:>7}{found.graphs:>8}{found.rows:>6}{found.tokens_a_step:>15}{found.nfe:>5}"
        f"{found.captures:>10}{found.first:>9.2f}{found.seconds:>9.2f}{found.milliseconds_a_forward:>14.2f}"
        f"{found.tokens_a_second:>10.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
