"""Compare this project's decoders with the published code on the CPU: same tokens, and how many times faster.

    python benchmarks/cpu_vs_upstream.py --fastdllm PATH --dinfer PATH [--model FOLDER] [--json FILE]

The paths are checkouts of NVlabs/Fast-dLLM and inclusionAI/dInfer; either may be left out. Both sides load
the same checkpoint in float32, decode the same prompts with the same parameters in one process, turn by turn,
and must agree on every token. Two ratios are printed: with equal work, forward for forward (early stopping is
off on our side where upstream has none, and dInfer's surplus iterations are run), and as we run by default.
Upstream code that is decorated with ``torch.compile`` runs eagerly unless ``--compile`` is given (which needs
a C++ compiler).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from counts import positive
from outputs import output
from transformers import AutoTokenizer

import llada_core
import llada_tiny
from llada_dev.verify.upstream import dinfer, fast_dllm
from llada_dev.verify.upstream.weights import Decode, fields_of, without_ends
from llada_runtime import LLaDAModel

PARAMETERS = {"gen_length": 128, "block_length": 32, "threshold": 0.9}
CODES = {"fast-dllm": fast_dllm, "dinfer": dinfer}
PROMPTS = (
    "Nora has 14 boxes with 12 pens each. She gives away 35 pens. How many pens are left?",
    "Sort these numbers from small to large: 91, 17, 58, 33, 76, 24.",
    "Write a Python function that returns the largest of three numbers.",
    "Hello, who are you?",
    "Extract the name and the age as JSON: Milo Terran is 34 years old and lives in Oslo.",
    "A train travels 85 km every hour for 6 hours and then 40 km more. How far does it go in total?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One algorithm over all prompts; seconds are medians, over the repeats, of the sum over the prompts."""

    algorithm: str
    tokens_equal: bool
    upstream_nfe: int
    equal_work_nfe: int
    default_nfe: int
    upstream_seconds: float
    equal_work_seconds: float
    default_seconds: float

    @property
    def ratio(self) -> float:
        """How many times faster we are with equal work."""
        return self.upstream_seconds / self.equal_work_seconds

    @property
    def default_ratio(self) -> float:
        """How many times faster we are as we run by default."""
        return self.upstream_seconds / self.default_seconds


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if not options.compile:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"
    published: dict[str, Decode] = {}
    for engine, checkout in (("fast-dllm", options.fastdllm), ("dinfer", options.dinfer)):
        if checkout:
            published |= decoders(engine, Path(checkout), options.model)
    model = LLaDAModel.from_pretrained(options.model, device="cpu", dtype="float32")
    prompts = _prompts(options.model)
    rows = []
    for name, upstream in published.items():
        rows.append(compare(name, upstream, model, prompts, options.repeat))
    report(rows, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fastdllm", type=Path, default=os.environ.get("LLADA_FASTDLLM_PATH"))
    parser.add_argument("--dinfer", type=Path, default=os.environ.get("LLADA_DINFER_PATH"))
    parser.add_argument("--model", type=Path, default=llada_tiny.model_path(), help="a LLaDA checkpoint")
    parser.add_argument("--repeat", type=positive, default=5)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--compile", action="store_true", help="let upstream compile what it decorates")
    parser.add_argument("--json", type=output, help="write the figures there too")
    options = parser.parse_args()
    if not (options.fastdllm or options.dinfer):
        parser.error("give an upstream checkout: --fastdllm PATH, --dinfer PATH, or both")
    return options


def decoders(engine: str, checkout: Path, folder: Path) -> dict[str, Decode]:
    """Upstream's decoders on upstream's network, answers without end tokens."""
    code, fields = CODES[engine], fields_of(folder)
    network = code.network(checkout, folder, device=torch.device("cpu"), dtype=torch.float32)

    def decoder(name: str) -> Decode:
        given = {**PARAMETERS, **code.EQUAL_WORK}
        effective = llada_core.get_algorithm(name).validate_args(**given)
        decode = code.decoder(checkout, name, network, fields, effective)

        def trimmed(prompt: torch.Tensor) -> tuple[list[int], int]:
            canvas, nfe = decode(prompt)
            return without_ends(canvas, fields["eos_token_id"]), nfe

        return trimmed

    return {name: decoder(name) for name in llada_core.list_algorithms_by_engine(engine)}


def _prompts(folder: Path) -> list[torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chats = [[{"role": "user", "content": text}] for text in PROMPTS]
    texts = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
    return [torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]


def _ours(name: str, model: LLaDAModel, **extra: Any) -> Decode:
    algorithm = llada_core.get_algorithm(name)
    eos = model.config.eos_ids[0]

    def decode(prompt: torch.Tensor) -> tuple[list[int], int]:
        ids, nfe = algorithm.generate(model, prompt, **{**PARAMETERS, **extra})
        return without_ends(ids[0].tolist(), eos), nfe

    return decode


def compare(
    name: str, upstream: Decode, model: LLaDAModel, prompts: list[torch.Tensor], repeat: int
) -> Comparison:
    """Run all sides in turn over all prompts, once to warm up and ``repeat`` times for the clock."""
    engine = llada_core.get_algorithm_info(name).engine
    sides = {
        "upstream": upstream,
        "equal_work": _ours(name, model, **CODES[engine].EQUAL_WORK),
        "default": _ours(name, model),
    }
    found = {side: [decode(prompt) for prompt in prompts] for side, decode in sides.items()}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeat):
        for side, decode in sides.items():
            begin = time.perf_counter()
            for prompt in prompts:
                decode(prompt)
            seconds[side].append(time.perf_counter() - begin)
    tokens = {side: [ids for ids, _ in answers] for side, answers in found.items()}
    return Comparison(
        algorithm=name,
        tokens_equal=tokens["upstream"] == tokens["equal_work"] == tokens["default"],
        **{f"{side}_nfe": sum(nfe for _, nfe in answers) for side, answers in found.items()},
        **{f"{side}_seconds": statistics.median(taken) for side, taken in seconds.items()},
    )


def report(rows: list[Comparison], options: argparse.Namespace) -> None:
    """Print a table and a line of JSON; fail if a token differs."""
    setting = f"torch {torch.__version__}, {options.threads} thread(s), float32"
    print(f"{setting}, {len(PROMPTS)} prompts, {PARAMETERS}")
    print("                            forwards                      seconds               times faster")
    print("algorithm         tokens    up equal default        up  equal default     equal work default")
    for row in rows:
        print(
            f"{row.algorithm:<18}{'equal' if row.tokens_equal else 'DIFFER':<8}"
            f"{row.upstream_nfe:>4}{row.equal_work_nfe:>6}{row.default_nfe:>8}"
            f"{row.upstream_seconds:>10.3f}{row.equal_work_seconds:>7.3f}{row.default_seconds:>8.3f}"
            f"{row.ratio:>14.2f}x{row.default_ratio:>7.2f}x"
        )
    figures = [{**asdict(row), "ratio": row.ratio, "default_ratio": row.default_ratio} for row in rows]
    text = json.dumps({"torch": torch.__version__, "threads": options.threads, "rows": figures})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    if not all(row.tokens_equal for row in rows):
        sys.exit("tokens differ from upstream")


if __name__ == "__main__":
    main()
