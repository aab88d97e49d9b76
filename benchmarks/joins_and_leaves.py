"""Time a step of 16 rows that joined and left at random against one of 16 rows that lie next to each other.

    python benchmarks/joins_and_leaves.py [--device cuda] [--states 20] [--json FILE]

Rows come and go by `KVCache.take` and `release`, in a pool with room for half as many again, until they lie
anywhere. Then a step of all rows, a block each against the rest of its canvas in the cache, is timed there
and, in turn, on rows of the same lengths in a fresh pool. On a CPU the network is made to merge rows, which
by default none does there. Printed are the calls of attention and the bytes of keys and values copied a
layer, the milliseconds of a step, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from counts import positive
from outputs import output
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from llada_runtime import KVCache, LLaDAConfig, LLaDAModel
from llada_runtime.network.cache import Extent
from llada_runtime.network.layout import Layout, Span

ROWS, BLOCK, LONGEST, CHANGES = 16, 32, 512, 200
SHAPES = {"cpu": (512, 4, 1024), "cuda": (4096, 8, 12288)}  # width, layers, MLP; heads have 128 channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One arrangement of rows; bytes and calls are means over the states, times and ratios medians."""

    lengths: str
    arrangement: str
    calls_a_layer: float
    copied_bytes_a_layer: float
    milliseconds: float
    ratio: float


class MergingModel(LLaDAModel):
    """One that merges rows of one shape, on a CPU too."""

    merges = True  # type: ignore[assignment]


class Copies(TorchDispatchMode):
    """Counts bytes that operators other than attention make of what lies in these pools."""

    def __init__(self, cache: KVCache, layers: int) -> None:
        super().__init__()
        self._pools = {_storage(pool) for index in range(layers) for pool in cache.layer(index)}
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        reads = any(isinstance(arg, Tensor) and _storage(arg) in self._pools for arg in args)
        if reads and "attention" not in str(func) and isinstance(made, Tensor):
            self.bytes += made.nbytes if _storage(made) not in self._pools else 0
        return made


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    model = _random_model(device)
    found = [
        figures
        for name, shortest in (("all equal", LONGEST), ("any", LONGEST // 2))
        for figures in _compared(model, name, shortest, options.states)
    ]
    about = _about(device)
    print(about)
    print(f"{'lengths':10} {'rows':12} {'calls':>6} {'bytes copied':>13} {'ms a step':>10} {'ratio':>6}")
    for row in found:
        numbers = f"{row.calls_a_layer:6.1f} {row.copied_bytes_a_layer:13.0f} {row.milliseconds:10.2f}"
        print(f"{row.lengths:10} {row.arrangement:12} {numbers} {row.ratio:6.3f}")
    if options.json:
        run = {"about": about, "rows": [asdict(row) for row in found]}
        options.json.write_text(json.dumps(run, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--states", type=positive, default=20, help="how many arrangements are timed")
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def _about(device: torch.device) -> str:
    place = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    width, layers, _ = SHAPES[device.type]
    return f"{ROWS} rows of {BLOCK} columns, width {width}, {layers} layers; {device.type}, {place}"


@torch.no_grad()
def _random_model(device: torch.device) -> LLaDAModel:
    width, layers, hidden = SHAPES[device.type]
    config = LLaDAConfig(
        d_model=width, n_layers=layers, n_heads=width // 128, n_kv_heads=width // 128,
        mlp_hidden_size=hidden, embedding_size=1024, vocab_size=1024, max_sequence_length=4096,
        rope_theta=500000.0, rms_norm_eps=1e-5, weight_tying=False, mask_token_id=1023, eos_token_id=1022,
    )  # fmt: skip
    if device.type == "cpu":
        model: LLaDAModel = MergingModel(config, device=device, dtype=torch.float32)
    else:
        model = LLaDAModel(config, device=device, dtype=torch.bfloat16)
    source = torch.Generator(device).manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(std=0.02, generator=source)
    return model.pack()


def _compared(model: LLaDAModel, name: str, shortest: int, states: int) -> list[Figures]:
    """The figures of neighbours, and of rows that came and went, each state timed next to its like."""
    arrangements: dict[str, list[tuple[int, int, float]]] = {"neighbours": [], "came, went": []}
    for state in range(states):
        chance = random.Random(state)
        cache, rows = _come_and_gone(model, chance, shortest)
        fresh = model.new_cache(columns=cache.columns)
        neighbours = [fresh.take(extent.length) for extent in rows]
        both = {"neighbours": (fresh, neighbours), "came, went": (cache, rows)}
        layouts = {key: _step(model, extents) for key, (_, extents) in both.items()}
        times: dict[str, list[float]] = {key: [] for key in both}
        for repeat in range(12):
            for key in sorted(both, reverse=bool(repeat % 2)):
                times[key].append(_timed(model, layouts[key], both[key][0]))
        for key, (pool, _) in both.items():
            with Copies(pool, model.shape.n_layers) as copies:
                model.logits(layouts[key], pool)
            copied = copies.bytes // model.shape.n_layers
            arrangements[key].append((len(layouts[key].calls), copied, min(times[key][2:])))
    base = [seconds for _, _, seconds in arrangements["neighbours"]]
    return [_figures(name, key, measured, base) for key, measured in arrangements.items()]


def _figures(
    lengths: str, arrangement: str, measured: list[tuple[int, int, float]], base: list[float]
) -> Figures:
    calls, copied, seconds = zip(*measured, strict=True)
    return Figures(
        lengths=lengths,
        arrangement=arrangement,
        calls_a_layer=statistics.mean(calls),
        copied_bytes_a_layer=statistics.mean(copied),
        milliseconds=statistics.median(seconds) * 1000,
        ratio=statistics.median(mine / like for mine, like in zip(seconds, base, strict=True)),
    )


def _come_and_gone(model: LLaDAModel, chance: random.Random, shortest: int) -> tuple[KVCache, list[Extent]]:
    """A cache after many rows have joined and left, and those that hold columns of it now."""
    cache = model.new_cache(columns=ROWS * LONGEST * 3 // 2)
    rows: list[Extent] = []
    for _ in range(CHANGES):
        most = chance.randint(ROWS // 2, ROWS * 3 // 2 - 1)
        while len(rows) > most:
            cache.release(rows.pop(chance.randrange(len(rows))))
        rows.append(cache.take(chance.randint(shortest, LONGEST)))
    while len(rows) > ROWS:
        cache.release(rows.pop(chance.randrange(len(rows))))
    while len(rows) < ROWS:
        rows.append(cache.take(chance.randint(shortest, LONGEST)))
    for index in range(model.shape.n_layers):
        for pool in cache.layer(index):
            pool.normal_()
    chance.shuffle(rows)
    return cache, rows


def _step(model: LLaDAModel, extents: list[Extent]) -> Layout:
    spans = [
        Span(
            ids=range(BLOCK), lo=lo, hi=lo + BLOCK, length=extent.length, head_lo=lo, head_hi=lo + BLOCK,
            extent=extent, reads=True,
        )
        for extent in extents
        for lo in (extent.length // 2,)
    ]  # fmt: skip
    return Layout.of(spans, device=model.device, merge=model.merges)


def _timed(model: LLaDAModel, layout: Layout, cache: KVCache) -> float:
    """Seconds of a step: of the processor on a CPU, which may be shared, else from call to end."""
    if model.device.type == "cpu":
        begin = time.process_time()
        model.logits(layout, cache)
        return time.process_time() - begin
    torch.cuda.synchronize(model.device)
    begin = time.perf_counter()
    model.logits(layout, cache)
    torch.cuda.synchronize(model.device)
    return time.perf_counter() - begin


def _storage(tensor: Tensor) -> int | None:
    """What tells storages apart; a packed weight has none to be seen."""
    return None if tensor.is_mkldnn else int(tensor.untyped_storage().data_ptr())


if __name__ == "__main__":
    main()
