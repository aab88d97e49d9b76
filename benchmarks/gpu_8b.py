"""Time the decoders on a GPU with random weights in the shape of LLaDA-8B.

    python benchmarks/gpu_8b.py [--fastdllm PATH] [--rows 1 8] [--json FILE]

Random weights decode to noise, so a fixed schedule is run: four tokens a step, the same number of forwards on
both sides. Printed per algorithm and batch size: milliseconds a forward, tokens a second, the peak of the
memory, and, with a checkout of NVlabs/Fast-dLLM, how many times faster we are than its code on the same
weights. Below the table stands the floor of a block step: the time to read every weight once, from a measured
copy bandwidth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from counts import positive
from outputs import output

import llada_core
from llada_dev.verify.upstream import fast_dllm
from llada_runtime import LLaDAConfig, LLaDAModel

LLADA_8B = {
    "model_type": "llada",
    "d_model": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 32,
    "mlp_hidden_size": 12288,
    "vocab_size": 126464,
    "embedding_size": 126464,
    "max_sequence_length": 4096,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "weight_tying": False,
    "mask_token_id": 126336,
    "eos_token_id": 126081,
}
SMALL = {
    "d_model": 128,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "mlp_hidden_size": 256,
    "vocab_size": 1024,
    "embedding_size": 1024,
    "mask_token_id": 1023,
    "eos_token_id": 1022,
}
PARAMETERS = {"gen_length": 256, "block_length": 32, "steps": 64, "threshold": None}
ALGORITHMS = ("basic", "prefix_cache", "dual_cache", "dinfer_blockwise")
PROMPT_LENGTH = 256

Decode = Callable[[torch.Tensor], tuple[torch.Tensor, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One algorithm at one batch size; ``seconds`` is the best of the repeats."""

    side: str
    algorithm: str
    rows: int
    nfe: int
    seconds: float
    peak_bytes: int

    @property
    def milliseconds_per_forward(self) -> float:
        return self.seconds / self.nfe * 1000

    @property
    def tokens_per_second(self) -> float:
        return self.rows * PARAMETERS["gen_length"] / self.seconds  # type: ignore[operator]


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    fields = {**LLADA_8B, **(SMALL if options.small else {})}
    timings: list[Timing] = []
    model = random_model(fields, device)
    for rows in options.rows:
        for name in ALGORITHMS:
            timings.append(_timed("ours", name, _ours(name, model), rows, device, options.repeat))
            _print(timings[-1], timings)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    if options.fastdllm:
        decoders = fast_dllm.random_decoders(options.fastdllm, fields, model, PARAMETERS)
        for rows in options.rows:
            for name, decode in decoders.items():
                timings.append(_timed("upstream", name, decode, rows, device, options.repeat))
                _print(timings[-1], timings)
    floor = weights / bandwidth(device) * 1000
    print(f"floor of a block step: {floor:.2f} ms ({weights / 1e9:.1f} GB of weights, read once)")
    _save(timings, floor, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fastdllm", type=Path)
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 8])
    parser.add_argument("--repeat", type=positive, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU; to try the program out: --device cpu --small")
    return options


@torch.no_grad()
def random_model(
    fields: dict[str, Any], device: torch.device, dtype: torch.dtype = torch.bfloat16
) -> LLaDAModel:
    """A model with this ``config.json`` and random weights."""
    model = LLaDAModel(LLaDAConfig.from_dict(fields), device=device, dtype=dtype)
    source = torch.Generator(device).manual_seed(0)
    for name, tensor in model.tensors().items():
        if "norm" in name or "ln_f" in name:
            tensor.fill_(1.0)
        else:
            tensor.normal_(std=0.02, generator=source)
    return model


def _ours(name: str, model: LLaDAModel) -> Decode:
    algorithm = llada_core.get_algorithm(name)

    def decode(prompt: torch.Tensor) -> tuple[torch.Tensor, int]:
        return algorithm.generate(model, prompt, early_stop=False, **PARAMETERS)  # type: ignore[no-any-return]

    return decode


def _timed(side: str, name: str, decode: Decode, rows: int, device: torch.device, repeat: int) -> Timing:
    prompt = torch.randint(0, 1000, (rows, PROMPT_LENGTH), generator=torch.Generator().manual_seed(1)).to(
        device
    )
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    _, nfe = decode(prompt)  # warms up
    taken = []
    for _ in range(repeat):
        _synchronize(device)
        begin = time.perf_counter()
        decode(prompt)
        _synchronize(device)
        taken.append(time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return Timing(side=side, algorithm=name, rows=rows, nfe=nfe, seconds=min(taken), peak_bytes=peak)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def bandwidth(device: torch.device) -> float:
    """Bytes a second that a large copy on the device reads and writes."""
    size = 2**31 if device.type == "cuda" else 2**26
    source = torch.empty(size, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    target.copy_(source)
    _synchronize(device)
    begin = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    _synchronize(device)
    return 2 * 10 * size / (time.perf_counter() - begin)


def _print(timing: Timing, timings: list[Timing]) -> None:
    if len(timings) == 1:
        print("side      algorithm         rows   NFE  ms/forward   tokens/s   peak GiB   ours faster")
    ours = next(
        (t for t in timings if (t.side, t.algorithm, t.rows) == ("ours", timing.algorithm, timing.rows)),
        timing,
    )
    ratio = "" if timing.side == "ours" else f"{timing.seconds / ours.seconds:8.2f}x"
    print(
        f"{timing.side:<10}{timing.algorithm:<18}{timing.rows:>4}{timing.nfe:>6}"
        f"{timing.milliseconds_per_forward:>12.2f}{timing.tokens_per_second:>11.1f}"
        f"{timing.peak_bytes / 2**30:>11.1f}{ratio}",
        flush=True,
    )


def _save(timings: list[Timing], floor: float, path: Path | None) -> None:
    text = json.dumps({"torch": torch.__version__, "floor_ms": floor, "rows": [asdict(t) for t in timings]})
    print(text)
    if path:
        path.write_text(text + "\n")


if __name__ == "__main__":
    main()
