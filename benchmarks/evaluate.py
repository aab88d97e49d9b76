"""Compare decoders on llada-tiny's held-out tasks: right answers, forwards, tokens per forward, seconds.

    python benchmarks/evaluate.py [-n 500] [--setting NAME ...] [--phrasings seen|unseen] [--json FILE]

Each task family gives `n` instances whose names and numbers the model never met in training; `--phrasings
unseen` words them as training never does. An answer counts if it is, word for word, one the task accepts.
Tokens per forward are answer tokens over forwards, both summed over the family. Seconds are wall-clock for a
family, in batches of `--batch`; they depend on the batch, the other columns do not.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import llada_core
from llada_core import GenerationRequest, LoadedModel
from llada_tiny.tasks import FAMILIES, Instance, Phrasings, held_out

COMMON: dict[str, object] = {"gen_length": 128, "block_length": 32}
SMOOTH: dict[str, object] = {"cont_weight": 0.3}
VICINITY: dict[str, object] = {"prefix_look": 16, "after_look": 16, "warmup_steps": 4}
SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "one-token": ("basic", {"steps": 128}),
    "one-token-dual": ("dual_cache", {"steps": 128}),
    "basic-0.9": ("basic", {"threshold": 0.9}),
    "basic-0.7": ("basic", {"threshold": 0.7}),
    "basic-0.5": ("basic", {"threshold": 0.5}),
    "basic-factor-1": ("basic", {"factor": 1.0}),
    "prefix-0.9": ("prefix_cache", {"threshold": 0.9}),
    "prefix-0.7": ("prefix_cache", {"threshold": 0.7}),
    "dual-0.9": ("dual_cache", {"threshold": 0.9}),
    "dual-0.7": ("dual_cache", {"threshold": 0.7}),
    "dual-0.5": ("dual_cache", {"threshold": 0.5}),
    "dual-factor-1": ("dual_cache", {"factor": 1.0}),
    "blockwise-0.9": ("dinfer_blockwise", {"threshold": 0.9}),
    "blockwise-0.7": ("dinfer_blockwise", {"threshold": 0.7}),
    "blockwise-no-cache": ("dinfer_blockwise", {"cache": "none"}),
    "blockwise-vicinity": ("dinfer_blockwise", VICINITY),
    "blockwise-smooth": ("dinfer_blockwise", SMOOTH),
    "blockwise-smooth-vicinity-0.8": ("dinfer_blockwise", {**VICINITY, **SMOOTH, "threshold": 0.8}),
    "hierarchy": ("dinfer_hierarchy", {}),
    "hierarchy-0.92-0.62": ("dinfer_hierarchy", {"threshold": 0.92, "low_threshold": 0.62}),
    "hierarchy-no-cache": ("dinfer_hierarchy", {"cache": "none"}),
    "credit": ("dinfer_credit", {}),
    "credit-0.7": ("dinfer_credit", {"threshold": 0.7}),
    "credit-no-cache": ("dinfer_credit", {"cache": "none"}),
    "credit-smooth-no-cache": ("dinfer_credit", {**SMOOTH, "cache": "none"}),
}
FAILURES_KEPT = 10


@dataclass(slots=True, kw_only=True)
class Score:
    """One family under one setting."""

    setting: str
    family: str
    phrasings: Phrasings
    asked: int = 0
    right: int = 0
    answer_tokens: int = 0
    forwards: int = 0
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def exact(self) -> float:
        """Right answers in percent."""
        return 100 * self.right / self.asked

    @property
    def tokens_per_forward(self) -> float:
        """Answer tokens per forward pass."""
        return self.answer_tokens / self.forwards


def main() -> None:
    options = _options()
    model = llada_core.load_model(
        options.model, engine=options.engine, device=options.device, dtype=options.dtype
    )
    scores: list[Score] = []
    for setting in options.setting:
        for family in options.family:
            instances = held_out(family, options.n, options.seed, options.phrasings)
            scores.append(
                evaluate(model, setting, instances, phrasings=options.phrasings, batch=options.batch)
            )
        print(_table(scores[-len(options.family) :]), flush=True)
        if options.json:
            _write(options.json, scores, options)


def evaluate(
    model: LoadedModel, setting: str, instances: list[Instance], *, phrasings: Phrasings, batch: int
) -> Score:
    """The score of one family's instances."""
    algorithm, parameters = SETTINGS[setting]
    score = Score(setting=setting, family=instances[0].family, phrasings=phrasings)
    for chunk in _chunks(instances, batch):
        requests = [
            GenerationRequest(prompt=list(each.messages), algorithm=algorithm, parameters=COMMON | parameters)
            for each in chunk
        ]
        began = time.perf_counter()
        results = model.generate_batch(requests)
        score.seconds += time.perf_counter() - began
        for instance, result in zip(chunk, results, strict=True):
            score.asked += 1
            score.answer_tokens += result.completion_tokens
            score.forwards += result.nfe
            if instance.accepts(result.text):
                score.right += 1
            elif len(score.failures) < FAILURES_KEPT:
                score.failures.append(
                    {
                        "asked": instance.messages[-1]["content"],
                        "wanted": instance.reference,
                        "got": result.text,
                    }
                )
    return score


def _chunks(instances: list[Instance], size: int) -> Iterator[list[Instance]]:
    """Batches of similar prompt lengths: short prompts are not padded to long ones."""
    ordered = sorted(instances, key=lambda each: sum(len(message["content"]) for message in each.messages))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _table(scores: list[Score]) -> str:
    lines = [f"{scores[0].setting} · {scores[0].phrasings} phrasings · {scores[0].asked} a family"]
    lines.append(
        f"  {'family':14s} {'exact %':>8s} {'NFE':>6s} {'tokens':>7s} {'tok/fwd':>8s} {'seconds':>8s}"
    )
    for score in scores:
        lines.append(
            f"  {score.family:14s} {score.exact:8.1f} {score.forwards / score.asked:6.1f} "
            f"{score.answer_tokens / score.asked:7.1f} {score.tokens_per_forward:8.2f} {score.seconds:8.1f}"
        )
    return "\n".join([*lines, _overall(scores)])


def _overall(scores: list[Score]) -> str:
    exact = sum(score.exact for score in scores) / len(scores)
    asked, forwards, tokens = (
        sum(getattr(score, name) for score in scores) for name in ("asked", "forwards", "answer_tokens")
    )
    seconds = sum(score.seconds for score in scores)
    return (
        f"  {'all':14s} {exact:8.1f} {forwards / asked:6.1f} {tokens / asked:7.1f} "
        f"{tokens / forwards:8.2f} {seconds:8.1f}"
    )


def _write(path: Path, scores: list[Score], options: argparse.Namespace) -> None:
    run = {name: str(value) for name, value in vars(options).items() if name not in ("json", "model")}
    rows = [asdict(s) | {"exact": s.exact, "tokens_per_forward": s.tokens_per_forward} for s in scores]
    path.write_text(
        json.dumps({"run": run, "scores": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=500, help="instances a family")
    parser.add_argument("--seed", type=int, default=2026, help="of the held-out instances")
    parser.add_argument("--phrasings", choices=("seen", "unseen"), default="seen")
    parser.add_argument(
        "--setting", nargs="+", choices=SETTINGS, default=["one-token", "basic-0.9", "dual-0.9", "basic-0.5"]
    )
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--model", help="a checkpoint folder; the embedded one if left out")
    parser.add_argument("--engine", default="fast-dllm", help="the engine that loads the model")
    parser.add_argument("--batch", type=int, default=32, help="requests decoded together")
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--json", type=Path, help="write every score here, some wrong answers included")
    return parser.parse_args()


if __name__ == "__main__":
    main()
