"""Compare this project's decoders with the upstream code on the CPU: same tokens, and how many times faster.

    python benchmarks/cpu_vs_upstream.py --fastdllm PATH [--model FOLDER] [--prompts N] [--json FILE]

PATH is a checkout of NVlabs/Fast-dLLM. Both sides load the same checkpoint in float32, decode the same prompts
with the same parameters in one process, turn by turn, and must agree on every token. Early stopping is off on
our side, as upstream has none. The upstream attention helper is decorated with ``torch.compile``; it runs
eagerly here unless ``--compile`` is given (which needs a C++ compiler), because that is faster on small models.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file

import llada_core
from llada_runtime import LLaDAModel

PARAMETERS = {"gen_length": 128, "block_length": 32, "threshold": 0.9}
FAST_DLLM = {
    "basic": "generate",
    "prefix_cache": "generate_with_prefix_cache",
    "dual_cache": "generate_with_dual_cache",
}
PROMPTS = (
    "Nora has 14 boxes with 12 pens each. She gives away 35 pens. How many pens are left?",
    "Sort these numbers from small to large: 91, 17, 58, 33, 76, 24.",
    "Write a Python function that returns the largest of three numbers.",
    "Hello, who are you?",
    "Extract the name and the age as JSON: Milo Terran is 34 years old and lives in Oslo.",
    "A train travels 85 km every hour for 6 hours and then 40 km more. How far does it go in total?",
)

Decode = Callable[[torch.Tensor], tuple[torch.Tensor, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One algorithm over all prompts; seconds are medians over the repeats of the sum over prompts."""

    algorithm: str
    tokens_equal: bool
    upstream_nfe: int
    our_nfe: int
    upstream_seconds: float
    our_seconds: float

    @property
    def ratio(self) -> float:
        return self.upstream_seconds / self.our_seconds


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if not options.compile:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"
    prompts = _prompts(options.model, options.prompts)
    upstream = _fast_dllm(options.fastdllm, options.model)
    ours = LLaDAModel.from_pretrained(options.model, device="cpu", dtype="float32")
    rows = [
        compare(name, upstream[name], _our_decoder(name, ours), prompts, options.repeat) for name in FAST_DLLM
    ]
    report(rows, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fastdllm", type=Path, default=os.environ.get("LLADA_FASTDLLM_PATH"))
    parser.add_argument("--model", type=Path, default=None, help="a LLaDA checkpoint (default: llada-tiny)")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compile upstream's attention helper")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    if options.fastdllm is None:
        parser.error("give the upstream checkout with --fastdllm PATH or LLADA_FASTDLLM_PATH")
    options.fastdllm = Path(options.fastdllm)
    if options.model is None:
        options.model = importlib.import_module("llada_tiny").model_path()
    return options


def _prompts(model: Path, count: int) -> list[torch.Tensor]:
    tokenizer = importlib.import_module("transformers").AutoTokenizer.from_pretrained(model)
    texts = [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False) for text in PROMPTS
    ]
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts[:count]]
    return [torch.tensor([row]) for row in rows]


def _our_decoder(name: str, model: LLaDAModel) -> Decode:
    algorithm = llada_core.get_algorithm(name)

    def decode(prompt: torch.Tensor) -> tuple[torch.Tensor, int]:
        return algorithm.generate(model, prompt, early_stop=False, **PARAMETERS)  # type: ignore[no-any-return]

    return decode


def _fast_dllm(checkout: Path, folder: Path) -> dict[str, Decode]:
    """Upstream's three functions on upstream's network."""
    source = next((checkout / sub for sub in ("v1/llada", "llada") if (checkout / sub).is_dir()), None)
    if source is None:
        sys.exit(f"{checkout} holds neither v1/llada nor llada; point --fastdllm at a checkout of Fast-dLLM")
    sys.path.insert(0, str(source))
    functions = importlib.import_module("generate")
    model = _fast_dllm_network(folder)
    steps = PARAMETERS["gen_length"]

    def decoder(function: Any) -> Decode:
        def decode(prompt: torch.Tensor) -> tuple[torch.Tensor, int]:
            return function(  # type: ignore[no-any-return]
                model, prompt, steps=steps, mask_id=model.config.mask_token_id, **PARAMETERS
            )

        return decode

    return {name: decoder(getattr(functions, function)) for name, function in FAST_DLLM.items()}


def _fast_dllm_network(folder: Path) -> Any:
    configuration: ModuleType = importlib.import_module("model.configuration_llada")
    network: ModuleType = importlib.import_module("model.modeling_llada")
    fields = json.loads((folder / "config.json").read_text())
    fields.update(init_device="cpu", architectures=None)
    model = network.LLaDAModelLM(configuration.LLaDAConfig(**fields), init_params=False)
    model.config.use_cache = False  # transformers 5 drops the field; upstream reads it
    model.load_state_dict({name: t.float() for name, t in load_file(folder / "model.safetensors").items()})
    return model.float().eval()


def compare(
    name: str, upstream: Decode, ours: Decode, prompts: list[torch.Tensor], repeat: int
) -> Comparison:
    """Run both sides in turn over all prompts, once to warm up and ``repeat`` times for the clock."""
    expected, found = [upstream(p) for p in prompts], [ours(p) for p in prompts]
    seconds: dict[str, list[float]] = {"upstream": [], "ours": []}
    for _ in range(repeat):
        for side, decode in (("upstream", upstream), ("ours", ours)):
            begin = time.perf_counter()
            for prompt in prompts:
                decode(prompt)
            seconds[side].append(time.perf_counter() - begin)
    return Comparison(
        algorithm=name,
        tokens_equal=all(torch.equal(e[0], f[0]) for e, f in zip(expected, found, strict=True)),
        upstream_nfe=sum(nfe for _, nfe in expected),
        our_nfe=sum(nfe for _, nfe in found),
        upstream_seconds=statistics.median(seconds["upstream"]),
        our_seconds=statistics.median(seconds["ours"]),
    )


def report(rows: list[Comparison], options: argparse.Namespace) -> None:
    print(
        f"torch {torch.__version__}, {options.threads} thread(s), float32, {options.prompts} prompts, {PARAMETERS}"
    )
    print(f"{'algorithm':<14}{'tokens':>8}{'NFE up':>8}{'NFE':>6}{'upstream s':>12}{'ours s':>9}{'ratio':>8}")
    for row in rows:
        print(
            f"{row.algorithm:<14}{'equal' if row.tokens_equal else 'DIFFER':>8}{row.upstream_nfe:>8}"
            f"{row.our_nfe:>6}{row.upstream_seconds:>12.3f}{row.our_seconds:>9.3f}{row.ratio:>7.2f}x"
        )
    data = [{**asdict(row), "ratio": row.ratio} for row in rows]
    text = json.dumps({"torch": torch.__version__, "threads": options.threads, "rows": data})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    if not all(row.tokens_equal for row in rows):
        sys.exit("tokens differ from upstream")


if __name__ == "__main__":
    main()
