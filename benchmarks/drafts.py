"""FreeDave on llada-tiny's held-out tasks: is its text that of one token a step, and in how many forwards?

    python benchmarks/drafts.py [-n 100] [--steps 2 4 8]

`n` instances, spread over the families, are decoded by `prefix_cache` and `dual_cache` with one token a step,
and by `freedave` with the same cache and so many drafts a forward, until each has its end token. Forwards are
those of all rows together. Exits with 1 where an answer differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from counts import positive
from evaluate import by_length

import llada_core
from llada_core import LoadedModel
from llada_core.bench import Case, Question, Sample, families, measure, tasks

COMMON: Mapping[str, object] = {"gen_length": 64, "block_length": 32}


def main() -> None:
    options = _options()
    model = llada_core.load_model(device="cpu", dtype="float32")
    each = -(-options.n // len(families()))
    questions = by_length(tasks(each)[: options.n])
    print(f"{len(questions)} held-out instances, {dict(COMMON)}")
    print("cache   drafts  differ  forwards  saved")
    differ = sum(_compared(model, questions, cache, options) for cache in ("prefix", "dual"))
    sys.exit(differ > 0)


def _compared(model: LoadedModel, questions: list[Question], cache: str, options: argparse.Namespace) -> int:
    """How many answers differ; each setting is printed once it is known."""
    plain = _decoded(model, questions, f"{cache}_cache", {"steps": COMMON["gen_length"]}, options)
    print(f"{cache:<7} {'-':>6}  {'-':>6}  {plain.row_forwards:>8}", flush=True)
    differ = 0
    for steps in options.steps:
        drafted = _decoded(model, questions, "freedave", {"cache": cache, "draft_steps": steps}, options)
        pairs = zip(plain.answers, drafted.answers, strict=True)
        here = sum(one.result.token_ids != other.result.token_ids for one, other in pairs)
        saved = 1 - drafted.row_forwards / plain.row_forwards
        print(
            f"{cache:<7} {steps:>6}  {here:>6}  {drafted.row_forwards:>8}  {100 * saved:>4.1f} %", flush=True
        )
        differ += here
    return differ


def _decoded(
    model: LoadedModel,
    questions: list[Question],
    algorithm: str,
    parameters: dict[str, object],
    options: argparse.Namespace,
) -> Sample:
    case = Case(label=algorithm, algorithm=algorithm, parameters={**COMMON, **parameters}, rows=options.batch)
    return measure(model, case, questions)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=positive, default=100, help="instances in all")
    parser.add_argument("--steps", type=positive, nargs="+", default=[2, 4, 8], help="drafts a forward")
    parser.add_argument("--batch", type=positive, default=8, help="rows in flight at a time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
