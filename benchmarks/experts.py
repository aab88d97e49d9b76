"""Time layers of experts: all at once against a plain loop, on a GPU or a CPU, with random weights.

    python benchmarks/experts.py [--models llada2-mini llada-moe-7b sdar-8b] [--rows 1 8 32]
        [--ways kernels grouped] [--quantization fp8] [--json FILE]
    python benchmarks/experts.py --device cpu [--columns 32 256] [--threads 1] [--json FILE]

On a GPU a whole block step is timed, in the published shapes: 32 columns a row that attend to 768, launched
kernel by kernel and as a CUDA graph, and as a share of the limit: the time to read once what the step needs,
at the rate at which a large copy reads and writes. Of the experts that is those that some column chose, as
counted in that step. SDAR-8B has none: it is there to compare with. Ways to run the experts:

    kernels     everything on the fused kernels; the others run on torch's
    grouped     rows sorted by expert, one kernel for all of them
    one by one  rows sorted by expert, a product for each; in a graph batched ones, of all rows by all experts
    loop        the published code's: for each expert find its rows, gather them, add the result

On a CPU one layer's experts are timed alone, routing left out, in float32, by numbers of columns: "by expert"
is what the runtime does, "loop" the published loop on the same packed weights, and "loop, plain" that on
torch's own. It is the processor's time, as others may use the machine.
Random weights spread columns evenly over experts; a trained router reads fewer.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from counts import positive
from gpu_8b import bandwidth
from mixtures import SHAPES, WAYS, RandomModel, published_loop, random_model, running, timed
from outputs import output
from torch import Tensor

from llada_core.machine import processor
from llada_runtime import KVCache, Shape
from llada_runtime.network.capture import CudaGraphs
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Layout, Span

KEYS, WIDTH = 768, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A block step in milliseconds; ``limit`` is what its bytes take, ``active`` the experts a layer reads.

    ``error`` is how far its logits are from those of the last way, relative to these as a whole.
    """

    model: str
    weights: str
    way: str
    rows: int
    active: float
    limit: float
    eager: float
    graphed: float | None
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer's experts on a CPU, milliseconds."""

    model: str
    way: str
    columns: int
    active: int
    milliseconds: float


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    if device.type == "cpu" and not options.small:
        torch.set_num_threads(options.threads)
        print(f"{processor()}, torch {torch.__version__}, {options.threads} thread(s), float32")
        found: dict[str, Any] = {"cpu": processor(), "torch": torch.__version__, "threads": options.threads}
        print(f"{'model':<14}{'columns':>8}{'active':>8}  {'way':<12}{'ms':>10}")
        found["layers"] = [asdict(each) for name in options.models for each in _layers(name, options.columns)]
    else:
        rate = bandwidth(device)
        card = torch.cuda.get_device_name() if device.type == "cuda" else processor()
        print(f"{card}, torch {torch.__version__}, a copy reads and writes {rate / 1e12:.2f} TB/s")
        found = {"card": card, "torch": torch.__version__, "bytes_a_second": rate}
        found["steps"] = [asdict(each) for name in options.models for each in _steps(name, options, rate)]
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--models", nargs="+", choices=SHAPES, default=["llada2-mini", "llada-moe-7b", "sdar-8b"]
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--columns", type=positive, nargs="+", default=[32, 256])
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--quantization", nargs="*", default=[], choices=("fp8", "int8"))
    parser.add_argument("--small", action="store_true", help="small layers on any device, to try it out")
    parser.add_argument("--json", type=output)
    return parser.parse_args()


# -- whole steps


def _steps(name: str, options: argparse.Namespace, rate: float) -> Iterator[Step]:
    device, shape = torch.device(options.device), SHAPES[name]
    if options.small:
        shape = _small(shape)
    print(f"\n{name}: {shape.parameter_count / 1e9:.2f} G weights, a column multiplies by "
          f"{(shape.active_products + shape.vocabulary * shape.width) / 1e9:.2f} G")  # fmt: skip
    print("weights    way         rows  active  limit ms  eager ms  graphed ms  share    error")
    for kind in (None, *options.quantization):
        model = random_model(shape, device, torch.bfloat16)
        if kind:
            model.quantise(kind)
        ways = [way for way in _ways(model, kind) if way in options.ways]
        for rows in options.rows:
            cache, layout = _laid_out(model, rows)
            with running(model, ways[-1]):
                wanted = model.logits(layout, cache).float()
            with running(model, WAYS[2]):
                active = _active(model, partial(model.logits, layout, cache))
            for way in ways:
                with running(model, way):
                    step = _step(name, kind or "bfloat16", way, model, cache, layout, wanted, active, rate)
                _print(step)
                yield step
            del cache, wanted
        del model
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _ways(model: RandomModel, kind: str | None) -> tuple[str, ...]:
    """Those in which the model can run; in eight bits the loop would convert every weight in each call."""
    fused = WAYS[:1] if model._fused else ()
    mixtures = [each for each in model.modules() if isinstance(each, ExpertMLP)]
    if not mixtures:
        return (*fused, "grouped")
    because = mixtures[0].one_by_one_because if model.device.type == "cuda" else None
    if because:
        print(f"no grouped product: {because}")
    ways = WAYS[2:] if because else WAYS[1:]
    return (*fused, *(ways[:1] if kind else ways))


def _small(shape: Shape) -> Shape:
    few = {"width": 128, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32, "mlp_width": 256}
    experts = shape.experts and replace(shape.experts, count=16, width=64, groups_chosen=shape.experts.groups)
    return replace(shape, **few, vocabulary=512, experts=experts)


def _step(
    name: str,
    weights: str,
    way: str,
    model: RandomModel,
    cache: KVCache,
    layout: Layout,
    wanted: Tensor,
    active: list[int],
    rate: float,
) -> Step:
    rows, error = len(layout.form.places), model.logits(layout, cache).float() - wanted
    eager = timed(lambda: model.logits(layout, cache), model.device)
    graphed = None
    if model.device.type == "cuda" and way != "loop":  # it asks how many rows an expert has
        network = Graphed(model, record=CudaGraphs(model.device), after=1)
        network.logits(layout, cache)
        network.logits(layout, cache)
        graphed = timed(lambda: network.logits(layout, cache), model.device)
        assert network.replays, network.capture_problem
    limit = _bytes(model, active, rows) / rate * 1000
    return Step(
        model=name, weights=weights, way=way, rows=rows, active=statistics.fmean(active) if active else 0.0,
        limit=limit, eager=eager, graphed=graphed, error=float(error.norm() / wanted.norm()),
    )  # fmt: skip


def _laid_out(model: RandomModel, rows: int) -> tuple[KVCache, Layout]:
    """Rows whose last columns are a block of random tokens, on a cache of random keys and values."""
    torch.manual_seed(rows)
    cache = model.new_cache(columns=rows * KEYS)
    extents = [cache.take(KEYS) for _ in range(rows)]
    for index in range(model.shape.n_layers):
        for pool in cache.layer(index):
            pool.normal_()
    lo, ids = KEYS - WIDTH, torch.randint(0, model.shape.vocabulary, (rows, WIDTH)).tolist()
    spans = [
        Span(
            ids=ids[row], lo=lo, hi=KEYS, length=KEYS, head_lo=lo, head_hi=KEYS, extent=extent, reads=True
        )
        for row, extent in enumerate(extents)
    ]  # fmt: skip
    return cache, Layout.of(spans, device=model.device, merge=model.merges)


def _active(model: torch.nn.Module, call: Callable[[], object]) -> list[int]:
    """How many experts of each layer some column chooses in ``call``."""
    found: list[int] = []

    def count(_module: object, _inputs: object, routed: tuple[Tensor, Tensor]) -> None:
        found.append(len(routed[1].unique()))

    routers = [mlp.router for mlp in model.modules() if isinstance(mlp, ExpertMLP)]
    hooks = [router.register_forward_hook(count) for router in routers]
    call()
    for hook in hooks:
        hook.remove()
    return found


def _bytes(model: RandomModel, active: list[int], rows: int) -> int:
    """What a step has to read: weights but for idle experts' and the embedding's, keys and values."""
    held = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    held -= model.embedding.numel() * model.embedding.element_size()
    layers = iter(active)
    for mlp in model.modules():
        if isinstance(mlp, ExpertMLP):
            parts = [*mlp.gate_up.parameters(), *mlp.down.parameters()]
            each = sum(tensor.numel() * tensor.element_size() for tensor in parts) // mlp.gate_up.groups
            held -= each * (mlp.gate_up.groups - next(layers))
    return held + rows * KEYS * model.shape.cached_numbers * model.dtype.itemsize


def _print(step: Step) -> None:
    best = step.eager if step.graphed is None else min(step.eager, step.graphed)
    graphed = "-" if step.graphed is None else f"{step.graphed:.2f}"
    print(
        f"{step.weights:<11}{step.way:<12}{step.rows:>4}{step.active:>8.1f}{step.limit:>10.3f}"
        f"{step.eager:>10.2f}{graphed:>12}{step.limit / best:>7.0%}{step.error:>9.1e}",
        flush=True,
    )


# -- a layer alone


@torch.inference_mode()
def _layers(name: str, columns: list[int]) -> Iterator[Layer]:
    shape = SHAPES[name]
    if shape.experts is None:
        return
    plain, packed = _layer(shape), _layer(shape)
    for part in packed.modules():
        if hasattr(part, "pack"):
            part.pack()
    for count in columns:
        x = torch.randn(count, shape.width, generator=torch.Generator().manual_seed(1))
        routed = packed.router(x)
        ways: dict[str, Callable[[], Tensor]] = {
            "loop, plain": partial(published_loop, plain, x, *routed),
            "loop": partial(published_loop, packed, x, *routed),
            "by expert": partial(packed._by_expert, x, *routed),
        }
        for way, taken in _by_turns(ways).items():
            layer = Layer(
                model=name, way=way, columns=count, active=len(routed[1].unique()), milliseconds=taken
            )
            print(f"{name:<14}{count:>8}{layer.active:>8}  {way:<12}{taken:>10.1f}", flush=True)
            yield layer


def _layer(shape: Shape) -> ExpertMLP:
    mlp, draw = ExpertMLP(shape, device=torch.device("cpu"), dtype=torch.float32), torch.Generator()
    draw.manual_seed(0)
    for parameter in mlp.parameters():
        parameter.data.normal_(std=0.02, generator=draw)
    return mlp


def _by_turns(ways: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Milliseconds of a processor's time that a call of each takes: the least of seven, by turns."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(7):
        for way, call in ways.items():
            begin = time.process_time()
            call()
            least[way] = min(least[way], (time.process_time() - begin) * 1000)
    return least


if __name__ == "__main__":
    main()
