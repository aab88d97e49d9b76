"""Compare decoders on llada-tiny's held-out tasks: right answers, forwards, tokens per forward, seconds.

    python benchmarks/evaluate.py [-n 500] [--setting NAME ...] [--phrasings seen|unseen] [--json FILE]

Each task family gives `n` instances whose names and numbers the model never met in training; `--phrasings
unseen` words them as training never does. An answer counts if it is, word for word, one the task accepts.
Tokens per forward are answer tokens over forwards, both summed over the family. Seconds are wall-clock for a
family after a batch to warm up, `--batch` rows in flight at a time; they depend on the batch, the other
columns do not. What measures is `llada_core.bench`, as in `llada bench`; here are the settings of the
project's page, and failures by name.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from counts import positive
from decoder_settings import settings
from outputs import output

import llada_core
from llada_core import LoadedModel
from llada_core.bench import Answered, Case, Question, Sample, families, measure, tasks, warm_case

COMMON: dict[str, object] = {"gen_length": 128, "block_length": 32}
SETTINGS = settings(128)
FAILURES_KEPT = 10


@dataclass(slots=True, kw_only=True)
class Score:
    """One family under one setting."""

    setting: str
    family: str
    phrasings: str
    asked: int
    right: int
    answer_tokens: int
    forwards: int
    seconds: float
    failures: list[dict[str, object]] = field(default_factory=list)

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
            questions = tasks(options.n, [family], seed=options.seed, phrasings=options.phrasings)
            scores.append(
                evaluate(model, setting, questions, phrasings=options.phrasings, batch=options.batch)
            )
        print(_table(scores[-len(options.family) :]), flush=True)
        if options.json:
            _write(options.json, scores, options)


def case_of(setting: str, batch: int) -> Case:
    """A setting of the table, with so many rows in flight."""
    algorithm, parameters = SETTINGS[setting]
    return Case(label=setting, algorithm=algorithm, parameters={**COMMON, **parameters}, rows=batch)


def by_length(questions: list[Question]) -> list[Question]:
    """Questions of similar length side by side: short prompts share forwards with short ones."""
    return sorted(questions, key=lambda each: sum(len(message["content"]) for message in each.prompt))


def evaluate(
    model: LoadedModel, setting: str, questions: list[Question], *, phrasings: str, batch: int
) -> Score:
    """The score of one family's instances, after a batch of them that does not count. A batch that they do
    not fill is as large as they are many."""
    case, asked = case_of(setting, min(batch, len(questions))), by_length(questions)
    warm_case(model, case, asked)
    sample = measure(model, case, asked)
    family = questions[0].group
    assert family is not None
    return Score(
        setting=setting,
        family=family,
        phrasings=phrasings,
        asked=len(sample.answers),
        right=sum(bool(answer.right) for answer in sample.answers),
        answer_tokens=sample.tokens,
        forwards=sample.row_forwards,
        seconds=sample.seconds,
        failures=_failures(sample),
    )


def _failures(sample: Sample) -> list[dict[str, object]]:
    wrong = [answer for answer in sample.answers if not answer.right]
    return [_failure(answer) for answer in wrong[:FAILURES_KEPT]]


def _failure(answer: Answered) -> dict[str, object]:
    question = answer.question
    return {"asked": question.prompt[-1]["content"], "wanted": question.expected, "got": answer.result.text}


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
    parser.add_argument("-n", type=positive, default=500, help="instances a family")
    parser.add_argument("--seed", type=int, default=2026, help="of the held-out instances")
    parser.add_argument("--phrasings", choices=("seen", "unseen"), default="seen")
    parser.add_argument(
        "--setting", nargs="+", choices=SETTINGS, default=["one-token", "basic-0.9", "dual-0.9", "basic-0.5"]
    )
    parser.add_argument("--family", nargs="+", choices=families(), default=list(families()))
    parser.add_argument("--model", help="a checkpoint folder; the embedded one if left out")
    parser.add_argument("--engine", default="fast-dllm", help="the engine that loads the model")
    parser.add_argument("--batch", type=positive, default=32, help="rows in flight at a time")
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--json", type=output, help="write every score here, some wrong answers included")
    return parser.parse_args()


if __name__ == "__main__":
    main()
