"""Time a model of the shape of LLaDA-8B on one GPU and split between several, and compare what they say.

    python benchmarks/gpu_parallel.py [--ranks 1 2] [--rows 1 8 32] [--folder FOLDER] [--json FILE]

Random weights are written as a checkpoint (16 GB: let FOLDER be fast) and loaded as users load theirs, each
rank its own part. A block step computes 32 columns a row that attend to 768; a refresh computes all 768, and
logits of 32. They are timed alone, many in a row. Then whole answers of `dual_cache` at one and four tokens a
step: 256 tokens after a prompt of 512, in blocks of 32. "differs" is the norm of the difference of a step's
logits from those of the first number of ranks, relative to these; "equal" is the share of equal likeliest
tokens.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from counts import positive
from gpu_8b import LLADA_8B, SMALL, random_model
from outputs import output
from safetensors.torch import save_file

import llada_core
from llada_runtime import Network
from llada_runtime.models.register import load_network
from llada_runtime.network.layout import Layout, Span

KEYS, WIDTH, PROMPT, GENERATED = 768, 32, 512, 256


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    fields = {**LLADA_8B, **(SMALL if options.small else {}), "architectures": ["LLaDAModelLM"]}
    found: dict[str, Any] = {"torch": torch.__version__, "device": _name(device), "sizes": {}}
    print(f"{found['device']}, torch {torch.__version__}")
    first: dict[int, torch.Tensor] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        took = _timed(lambda: write(Path(folder), fields, device), device)
        print(f"checkpoint written in {took:.1f} s", flush=True)
        for size in options.ranks:
            found["sizes"][size] = measured(Path(folder), size, device, options, first)
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeat", type=positive, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    if options.device == "cuda" and torch.cuda.device_count() < max(options.ranks):
        sys.exit("torch sees fewer GPUs; to try the program out: --device cpu --small --repeat 2")
    return options


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


def write(folder: Path, fields: dict[str, Any], device: torch.device) -> None:
    """A checkpoint of random weights, as transformers saves one."""
    (folder / "config.json").write_text(json.dumps(fields))
    model = random_model(fields, device)
    save_file(
        {name: tensor.cpu().clone() for name, tensor in model.tensors().items()}, folder / "model.safetensors"
    )


def measured(
    folder: Path, size: int, device: torch.device, options: argparse.Namespace, first: dict[int, torch.Tensor]
) -> dict[str, Any]:
    """Everything at one number of ranks; the logits of the ``first`` number are kept."""
    loaded: list[Any] = []
    took = _timed(
        lambda: loaded.append(load_network(folder, device=device, dtype="bfloat16", tensor_parallel=size)),
        device,
    )
    network = loaded.pop()
    found: dict[str, Any] = {"load_s": took, "steps": {}, "answers": []}
    print(f"{size} ranks: loaded in {took:.1f} s", flush=True)
    for rows in options.rows:
        found["steps"][rows] = _steps(network, rows, options.repeat, first)
        print(f"{size} ranks, {rows:>2} rows: {_words(found['steps'][rows])}", flush=True)
    for rows in [rows for rows in options.rows if rows <= 8]:
        for tokens in (1, 4):
            found["answers"].append(_answer(network, rows, tokens, device))
            print(f"{size} ranks, {rows:>2} rows: {_words(found['answers'][-1])}", flush=True)
    if device.type == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
    if size > 1:
        network.close()
    del network
    gc.collect()
    return found


def _words(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


@torch.inference_mode()
def _steps(network: Network, rows: int, repeat: int, first: dict[int, torch.Tensor]) -> dict[str, float]:
    """Milliseconds of a refresh and of a block step, and how far its logits are from the ``first``."""
    source = torch.Generator().manual_seed(rows)
    ids = torch.randint(0, 1000, (rows, KEYS), generator=source).tolist()
    cache = network.new_cache(columns=rows * KEYS)
    extents = [cache.take(KEYS) for _ in range(rows)]
    block = {"length": KEYS, "head_lo": PROMPT, "head_hi": PROMPT + WIDTH}
    whole = [
        Span(ids=row, lo=0, hi=KEYS, extent=extent, **block) for row, extent in zip(ids, extents, strict=True)
    ]
    step = [
        Span(
            ids=row[PROMPT : PROMPT + WIDTH], lo=PROMPT, hi=PROMPT + WIDTH, extent=extent, reads=True, **block
        )
        for row, extent in zip(ids, extents, strict=True)
    ]
    layouts = [Layout.of(spans, device=network.device, merge=network.merges) for spans in (whole, step)]
    refresh, logits = network.logits(layouts[0], cache), network.logits(layouts[1], cache)
    reference = first.setdefault(rows, logits.float().cpu())
    mine = logits.float().cpu()
    del refresh
    times = [
        _each(network, layout, cache, count)
        for layout, count in zip(layouts, (max(repeat // (4 * rows), 2), repeat), strict=True)
    ]
    return {
        "refresh_ms": times[0],
        "step_ms": times[1],
        "differs": float((mine - reference).norm() / reference.norm()),
        "equal": float((mine.argmax(1) == reference.argmax(1)).float().mean()),
    }


def _each(network: Network, layout: Layout, cache: Any, count: int) -> float:
    """Milliseconds of one of ``count`` forwards in a row."""

    def often() -> None:
        for _ in range(count):
            network.logits(layout, cache)

    return 1000 * _timed(often, network.device) / count


def _answer(network: Any, rows: int, tokens: int, device: torch.device) -> dict[str, float]:
    """The best of three answers of `dual_cache`."""
    algorithm = llada_core.get_algorithm("dual_cache")
    prompt = torch.randint(0, 1000, (rows, PROMPT), generator=torch.Generator().manual_seed(1))
    asked = {"gen_length": GENERATED, "block_length": WIDTH, "steps": GENERATED // tokens, "threshold": None}
    nfe: list[int] = []

    def decode() -> None:
        nfe.append(algorithm.generate(network, prompt, early_stop=False, **asked)[1])

    seconds = min(_timed(decode, device) for _ in range(3))
    return {
        "tokens_a_step": tokens,
        "ms_a_forward": seconds / nfe[0] * 1000,
        "tokens_a_second": rows * GENERATED / seconds,
    }


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds."""
    _wait(device)
    begin = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
