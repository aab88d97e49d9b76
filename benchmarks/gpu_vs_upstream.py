"""Time dual-cache decoding on a GPU against Fast-dLLM and dInfer, in the shape of LLaDA-8B, all in one run.

    python benchmarks/gpu_vs_upstream.py [--fastdllm PATH] [--dinfer PATH] [--tokens 1 2 4 8] [--json FILE]

The paths of the checkouts are also taken from LLADA_FASTDLLM_PATH and LLADA_DINFER_PATH; a side without one
is left out. Random weights never exceed a threshold, so a fixed number of tokens a step is decoded: equal
prompts, lengths and numbers of forwards on all sides, on one copy of the weights at a time. dInfer runs as
published, and compiled as its benchmark does it. Ours runs as it is loaded: with its steps captured before,
and so with the same weights in eight bits. Given several numbers of rows, lengths and blocks, all of them are
run with each other, upstream with one row alone, which is what it decodes together here.

"start" is what comes before the first answer, or makes the first one slower: compiling and capturing. A step
and a refresh are told apart by the answers of fewest and of most tokens a step. First it is said whether all
sides decode the same tokens, in float32 on a small shape.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from counts import positive
from gpu_8b import LLADA_8B, SMALL, bandwidth, random_model
from outputs import output

import llada_core
from llada_dev.verify.upstream import dinfer, fast_dllm
from llada_runtime import LLaDAModel
from llada_runtime.network.graphs import graphed
from llada_runtime.network.warmup import warm_up

PROMPT = 512
_SIDES = {
    "ours": "ours",
    "compiled": "dInfer compiled",
    "dinfer": "dInfer",
    "fastdllm": "Fast-dLLM dual",
    "fp8": "ours, fp8",
    "int8": "ours, int8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is decoded: so many prompts together, to answers of ``gen_length`` tokens in blocks."""

    rows: int
    gen_length: int
    block_length: int


_OURS = ("ours", "fp8", "int8")

Decode = Callable[[torch.Tensor, Cell, int], tuple[torch.Tensor, int]]
"""From prompts ``[R, P]``, a cell and tokens a step to canvases ``[R, P + G]`` and the number of forwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One side at so many tokens a step; ``seconds`` is the best of the repeats."""

    side: str
    cell: Cell
    tokens_a_step: int
    nfe: int
    seconds: float
    start_seconds: float

    @property
    def milliseconds_a_forward(self) -> float:
        return self.seconds / self.nfe * 1000

    @property
    def tokens_a_second(self) -> float:
        return self.cell.rows * self.cell.gen_length / self.seconds


def main() -> None:
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _check(options, device)
    fields = {**LLADA_8B, **(SMALL if options.small else {})}
    model = random_model(fields, device)
    rate = bandwidth(device)
    card = torch.cuda.get_device_name() if device.type == "cuda" else "a CPU"
    print(f"{card}, torch {torch.__version__}, a copy reads and writes {rate / 1e12:.2f} TB/s")
    timings: list[Timing] = []
    for name, make in _sides(options, fields, model):
        timings += _timed(name, make, options, device)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    for cell in dict.fromkeys(timing.cell for timing in timings):
        _summarise([timing for timing in timings if timing.cell == cell], cell, options.tokens)
    found = {"card": card, "torch": torch.__version__, "bytes_a_second": rate}
    text = json.dumps(found | {"timings": [asdict(timing) for timing in timings]})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fastdllm", type=Path, default=os.environ.get("LLADA_FASTDLLM_PATH"))
    parser.add_argument("--dinfer", type=Path, default=os.environ.get("LLADA_DINFER_PATH"))
    parser.add_argument("--tokens", type=positive, nargs="+", default=[1, 2, 4, 8], help="tokens a step")
    parser.add_argument("--rows", type=positive, nargs="+", default=[1], help="prompts decoded together")
    parser.add_argument("--gen-length", type=positive, nargs="+", default=[256])
    parser.add_argument("--block-length", type=positive, nargs="+", default=[32])
    parser.add_argument("--repeat", type=int, default=2, help="answers after the first; 0: the first counts")
    parser.add_argument(
        "--sides", choices=list(_SIDES), nargs="+", default=list(_SIDES), help="and their order"
    )
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    most, width = max(options.tokens), min(*options.block_length, *options.gen_length)
    if most > width:
        parser.error(f"--tokens {most} a step are more than a block or an answer of {width} has")
    options.fastdllm, options.dinfer = (Path(p) if p else None for p in (options.fastdllm, options.dinfer))
    if not (torch.cuda.is_available() or options.small):
        sys.exit("torch sees no GPU; to try the program out: --small")
    return options


def _sides(
    options: argparse.Namespace, fields: dict[str, Any], model: LLaDAModel
) -> Iterator[tuple[str, Callable[[], Decode]]]:
    """Each side by name, and what makes it; making is a part of its start."""
    sides: dict[str, Callable[[], Decode]] = {"ours": lambda: _ours(model, options)}
    if options.dinfer:
        sides["compiled"] = lambda: _dinfer(fields, model, options, compiled=True)
        sides["dinfer"] = lambda: _dinfer(fields, model, options, compiled=False)
    if options.fastdllm:
        sides["fastdllm"] = lambda: _fast_dllm(fields, model, options)
    for kind in ("fp8", "int8"):
        sides[kind] = lambda kind=kind: _ours(_copy(model, fields).quantise(kind), options)  # type: ignore[misc]
    for side in options.sides:
        if side in sides and (1 in options.rows or side in _OURS):
            yield _SIDES[side], sides[side]


def _ours(model: LLaDAModel, options: argparse.Namespace) -> Decode:
    network, algorithm = graphed(model), llada_core.get_algorithm("dual_cache")
    warm_up(network, rows=options.rows, widths=options.block_length)

    def decode(prompt: torch.Tensor, cell: Cell, tokens: int) -> tuple[torch.Tensor, int]:
        return algorithm.generate(  # type: ignore[no-any-return]
            network, prompt, gen_length=cell.gen_length, block_length=cell.block_length,
            steps=cell.gen_length // tokens, threshold=None, early_stop=False,
        )  # fmt: skip

    return decode


def _copy(model: LLaDAModel, fields: dict[str, Any]) -> LLaDAModel:
    return random_model(fields, model.device, model.dtype)


def _fast_dllm(fields: dict[str, Any], model: LLaDAModel, options: argparse.Namespace) -> Decode:
    network = fast_dllm.random_network(options.fastdllm, fields, model)

    def decode(prompt: torch.Tensor, cell: Cell, tokens: int) -> tuple[torch.Tensor, int]:
        lengths = {"gen_length": cell.gen_length, "block_length": cell.block_length}
        parameters = {**lengths, "steps": cell.gen_length // tokens, "threshold": None}
        made = fast_dllm.decoders_on(options.fastdllm, network, fields["mask_token_id"], parameters)
        return made["dual_cache"](prompt)

    return decode


def _dinfer(
    fields: dict[str, Any], model: LLaDAModel, options: argparse.Namespace, *, compiled: bool
) -> Decode:
    network = dinfer.random_network(options.dinfer, fields, model, compiled=compiled)

    def decode(prompt: torch.Tensor, cell: Cell, tokens: int) -> tuple[torch.Tensor, int]:
        return dinfer.decode_fixed(
            options.dinfer, network, fields, prompt, gen_length=cell.gen_length,
            block_length=cell.block_length, steps_a_block=cell.block_length // tokens,
        )  # fmt: skip

    return decode


def _timed(
    name: str, make: Callable[[], Decode], options: argparse.Namespace, device: torch.device
) -> Iterator[Timing]:
    decode, start = _clocked(make, device)
    ours = any(name == _SIDES[side] for side in _OURS)
    for gen_length, block_length, rows in product(options.gen_length, options.block_length, options.rows):
        if rows > 1 and not ours:
            continue
        cell = Cell(rows=rows, gen_length=gen_length, block_length=block_length)
        ids = torch.randint(0, 1000, (rows, PROMPT), generator=torch.Generator().manual_seed(1))
        prompt = ids.to(device)
        for tokens in options.tokens:
            answer = partial(decode, prompt, cell, tokens)
            (_, nfe), first = _clocked(answer, device)
            best = min((_clocked(answer, device)[1] for _ in range(options.repeat)), default=first)
            start += max(first - best, 0.0)
            timing = Timing(
                side=name, cell=cell, tokens_a_step=tokens, nfe=nfe, seconds=best, start_seconds=start
            )
            _print_timing(timing)
            yield timing


def _print_timing(timing: Timing) -> None:
    cell = timing.cell
    print(
        f"{timing.side:<16}{cell.rows:>3} rows, {cell.gen_length:>4} tokens in {cell.block_length}s, "
        f"{timing.tokens_a_step} a step{timing.nfe:>5} forwards{timing.milliseconds_a_forward:>8.2f} ms each"
        f"{timing.tokens_a_second:>9.1f} tok/s, start {timing.start_seconds:.1f} s",
        flush=True,
    )


def _clocked(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What it returns, and how many seconds it takes until the device has done it."""
    begin = time.perf_counter()
    made = call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return made, time.perf_counter() - begin


def _summarise(timings: list[Timing], cell: Cell, counts: list[int]) -> None:
    """The table: tokens a second and how many times faster we are, then a step and a refresh of each side."""
    sides = list(dict.fromkeys(timing.side for timing in timings))
    table = {(timing.side, timing.tokens_a_step): timing for timing in timings}
    few, many = min(counts), max(counts)
    print(f"\n{cell.rows} rows, {cell.gen_length} tokens in blocks of {cell.block_length}")
    print(f"{'tok/s (we are faster by)':<24}" + "".join(f"{tokens:>15}" for tokens in counts), end="")
    print("      step ms   refresh ms   start s")
    for side in sides:
        row = [table[side, tokens] for tokens in counts]
        against = [table["ours", tokens].tokens_a_second / each.tokens_a_second
                   for tokens, each in zip(counts, row, strict=True)]  # fmt: skip
        cells = [
            f"{each.tokens_a_second:8.1f} ({ratio:4.2f})" for each, ratio in zip(row, against, strict=True)
        ]
        step, refresh = _told_apart(table[side, few], table[side, many])
        print(f"{side:<24}{''.join(cells)}{step:>13.2f}{refresh:>13.2f}{row[-1].start_seconds:>10.1f}")
    for ours, theirs in product((side for side in sides[1:] if side.startswith("ours")), sides):
        ratios = [table[theirs, tokens].seconds / table[ours, tokens].seconds for tokens in counts]
        if not theirs.startswith("ours"):
            print(f"{ours} is faster than {theirs} by" + "".join(f"{ratio:6.2f}" for ratio in ratios))


def _told_apart(few: Timing, many: Timing) -> tuple[float, float]:
    """Milliseconds of a step and of a refresh, from answers with fewer and with more tokens a step."""
    blocks = few.cell.gen_length // few.cell.block_length
    if few.nfe == many.nfe:
        return float("nan"), float("nan")
    step = (few.seconds - many.seconds) / (few.nfe - many.nfe)
    return step * 1000, (many.seconds - (many.nfe - blocks) * step) / blocks * 1000


def _check(options: argparse.Namespace, device: torch.device) -> None:
    """Say which sides decode the same tokens: float32, a small shape, two tokens a step."""
    fields = {**LLADA_8B, **SMALL}
    model = random_model(fields, device, torch.float32)
    small = argparse.Namespace(**{**vars(options), "rows": [1], "sides": ["ours", "dinfer", "fastdllm"]})
    cell = Cell(rows=1, gen_length=64, block_length=32)
    prompt = torch.randint(0, 1000, (1, 40), generator=torch.Generator().manual_seed(2)).to(device)
    answers = {name: make()(prompt, cell, 2) for name, make in _sides(small, fields, model)}
    for name, (ids, nfe) in answers.items():
        same = ids.tolist() == answers["ours"][0].tolist()
        print(f"float32, small: {name} takes {nfe} forwards, {'the same tokens' if same else 'OTHER TOKENS'}")


if __name__ == "__main__":
    main()
