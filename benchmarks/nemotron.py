"""Time ``nemotron_block`` against a Nemotron model's own code, on one copy of the weights.

    python benchmarks/nemotron.py [--model PATH] [--rows 8] [--device cpu --small] [--json FILE]

``--model`` is a real checkpoint, whose code is run. Without it: random weights in the shape of
Nemotron-Labs-Diffusion-8B under the plain code of ``tests/nemotron/remote``, written from the published
description. Both sides run the same forwards (no early stop); ``ragged`` are prompts of different lengths,
which the models' own code can only answer one by one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from counts import positive
from outputs import output
from transformers import AutoConfig, AutoModel

import llada_core
from llada_nemotron import NativeModel, NemotronConfig, NemotronModel

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.nemotron.published import FAMILY
from tests.nemotron.tiny_models import write_code

LABS_8B = {**FAMILY["Nemotron-Labs-Diffusion-8B"], "dlm_paradigm": "bidirectional"}
SMALL = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "vocab_size": 4096,
    "max_position_embeddings": 4096,
}
GEN_LENGTH, BLOCK_LENGTH, PROMPT_LENGTH = 64, 32, 256
ALGORITHMS = ("nemotron", "nemotron_block")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One algorithm on one kind of batch: the best of the repeats, and the forwards of a row."""

    algorithm: str
    batch: str
    rows: int
    threshold: float | None
    nfe: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.rows * GEN_LENGTH / self.seconds


def main() -> None:
    options = _options()
    with _loaded(options) as model:
        timings = [
            timing
            for batch, rows in (("equal", 1), ("equal", options.rows), ("ragged", options.rows))
            for threshold in (None, 0.0)
            for timing in _compared(model, batch, rows, threshold, options)
        ]
    text = json.dumps({"torch": torch.__version__, "cases": [asdict(timing) for timing in timings]})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a checkpoint; its code is run")
    parser.add_argument("--rows", type=positive, default=8)
    parser.add_argument("--repeat", type=positive, default=2)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU; to try the program out: --device cpu --small")
    return options


@contextmanager
def _loaded(options: argparse.Namespace) -> Iterator[NemotronModel]:
    if options.model is not None:
        yield NemotronModel.from_pretrained(options.model, device=options.device, trust_remote_code=True)
        return
    fields = {**LABS_8B, **(SMALL if options.small else {})}
    with tempfile.TemporaryDirectory(prefix="llada-") as name:
        folder = Path(name)
        write_code(folder, "labs", fields)
        model = _random_model(folder, torch.device(options.device))
        yield NemotronModel(NemotronConfig.from_pretrained(folder), native=NativeModel(model))


@torch.no_grad()
def _random_model(folder: Path, device: torch.device) -> Any:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    precision = torch.float32 if device.type == "cpu" else torch.bfloat16
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=True, dtype=precision)
    model = model.to_empty(device=device).eval()
    source = torch.Generator(device).manual_seed(0)
    for name, weight in model.named_parameters():
        weight.fill_(1.0) if "norm" in name else weight.normal_(std=0.02, generator=source)
    model.diffusion_head.weight[config.mask_token_id].zero_()  # or masks would be predicted now and then
    return model


def _compared(
    model: NemotronModel, batch: str, rows: int, threshold: float | None, options: argparse.Namespace
) -> Iterator[Timing]:
    """Both sides on the same prompts, the model's own code first."""
    prompts = _prompts(batch, rows)
    first: Timing | None = None
    for name in ALGORITHMS:
        decode = _decoder(name, model, prompts, threshold)
        nfe = decode()  # warms up
        seconds = min(_seconds(decode, options.device) for _ in range(options.repeat))
        timing = Timing(algorithm=name, batch=batch, rows=rows, threshold=threshold, nfe=nfe, seconds=seconds)
        _print(timing, first)
        first = first or timing
        yield timing


def _prompts(batch: str, rows: int) -> list[list[int]]:
    source = torch.Generator().manual_seed(1)
    lengths = [PROMPT_LENGTH + (7 * row if batch == "ragged" else 0) for row in range(rows)]
    return [torch.randint(101, 1000, (length,), generator=source).tolist() for length in lengths]


def _decoder(
    name: str, model: NemotronModel, prompts: list[list[int]], threshold: float | None
) -> Callable[[], int]:
    algorithm = llada_core.get_algorithm(name)
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    settings: dict[str, Any] = {
        "gen_length": GEN_LENGTH,
        "block_length": BLOCK_LENGTH,
        "threshold": threshold,
        "early_stop": False,
    }

    def decode() -> int:
        _, nfe = algorithm.generate(model, ids, attention_mask=mask, **settings)
        return nfe

    return decode


def _seconds(decode: Callable[[], int], device: str) -> float:
    def settled() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    begin = settled()
    decode()
    return settled() - begin


def _print(timing: Timing, first: Timing | None) -> None:
    if first is None:
        print("\nalgorithm       batch   rows  threshold   NFE  seconds  tokens/s  faster")
    ratio = f"{first.seconds / timing.seconds:7.2f}x" if first else ""
    print(
        f"{timing.algorithm:<16}{timing.batch:<8}{timing.rows:>4}{timing.threshold!s:>11}{timing.nfe:>6}"
        f"{timing.seconds:>9.2f}{timing.tokens_per_second:>10.1f}{ratio}",
        flush=True,
    )


if __name__ == "__main__":
    main()
