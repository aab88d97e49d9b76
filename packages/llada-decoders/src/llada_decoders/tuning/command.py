"""The command ``tune``: the fastest parameters of each algorithm that keep right answers right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from llada_core import registry
from llada_core.bench import surroundings
from llada_core.bench.measuring import MOST_ROWS
from llada_core.bench.questions import SEED
from llada_core.cli.bench_questions import wheel_of
from llada_core.cli.bench_tables import print_surroundings
from llada_core.cli.bench_trials import told_cut
from llada_core.cli.diversion import answers_alone
from llada_core.cli.opening import opened_model
from llada_core.cli.options import ModelChoice, dcp_options, loading_options, parameter_option
from llada_core.cli.outfiles import check_files, written
from llada_core.cli.output import note, print_json
from llada_core.cli.reporting import report, tracebacks_wanted
from llada_core.cli.settings import SettingsCommand
from llada_core.cli.signals import ended_like_an_interrupt
from llada_core.errors import UsageError
from llada_core.generation.execution import ROWS
from llada_core.loading import LoadedModel
from llada_decoders.tuning.asking import Asking, Questions, questions_of_file, questions_of_tasks
from llada_decoders.tuning.call import Wish
from llada_decoders.tuning.halving import stages
from llada_decoders.tuning.judging import Judge
from llada_decoders.tuning.outcome import Outcome
from llada_decoders.tuning.records import record
from llada_decoders.tuning.tables import print_flags, print_trials
from llada_decoders.tuning.trials import Trial

__all__ = ["tune"]

_QUESTIONS = 256
_SPEEDS = ("tokens-per-forward", "tokens-per-second")
_A_TOKEN = 1.05  # a step, at most: what is taken back and filled again counts again
_EXAMPLE = """\b
llada tune --tasks lists,json --algorithm dual_cache
llada tune ./my-model --prompts questions.jsonl --floor 0.95 -p gen_length=64 \\
    --algorithm dual_cache -p threshold=0.5,0.6,0.7,0.8,0.9 -p block_length=32 --algorithm wino
"""


@click.command(cls=SettingsCommand, epilog=_EXAMPLE)
@click.argument("model", required=False, metavar="[MODEL]")
@dcp_options
@loading_options
@click.option(
    "--algorithm", "algorithms", metavar="NAME", multiple=True,
    help="Algorithm to tune; repeatable. Default: all that run on the model by steps and can be tuned.",
)  # fmt: skip
@parameter_option(
    "What is tried of a parameter of the --algorithm before it, instead of the values that are known to be "
    "sensible: -p threshold=0.7,0.8,0.9, or one value, which is kept. Before the first --algorithm, of all. "
    "Repeatable.",
)
@click.option(
    "--prompts", "file", metavar="FILE",
    help="Ask the questions of a file (- is stdin): JSON lines of prompt or messages, with what is expected.",
)  # fmt: skip
@click.option(
    "--tasks", "of", multiple=True, metavar="FAMILY",
    help="Ask held-out instances of these families of the tasks of the wheel that the model comes in, else "
    "of the embedded model's: names with commas between, or all. Repeatable. Default, for such models: all.",
)  # fmt: skip
@click.option(
    "-n", "--budget", "count", type=click.IntRange(min=1), metavar="N",
    help=f"Questions that a setting is asked, at most. Default: {_QUESTIONS}, or all of a smaller file.",
)  # fmt: skip
@click.option(
    "--floor", type=float, default=0.98, show_default=True, metavar="SHARE",
    help="Of what one token a step has right, so much is to be kept: above 0, at most 1.",
)  # fmt: skip
@click.option(
    "--baseline", metavar="'NAME NAME=VALUE …'",
    help="What keeps one token a step: an algorithm, and what it takes for that. Default: as the model's "
    "family has it.",
)  # fmt: skip
@click.option(
    "--speed", type=click.Choice(_SPEEDS), default=_SPEEDS[0], show_default=True,
    help="What is fast: tokens per forward are the same on every machine, tokens per second are this one's.",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(min=1, max=MOST_ROWS), default=ROWS, show_default=True, metavar="N",
    help="Questions that share a forward, at most.",
)  # fmt: skip
@click.option(
    "--seed", "drawn", type=click.IntRange(min=0), default=SEED, show_default=True, metavar="N",
    help="Which questions are asked, and in which order. What is drawn in answering is -p seed=N.",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Take prompts as they stand, without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Print all trials as JSON, instead of the table.")
@click.option(
    "--json-file", type=click.Path(path_type=Path), metavar="FILE",
    help="Write all trials as JSON, beside the table.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def tune(ctx: click.Context, /, **given: Any) -> None:
    """Find the fastest parameters of each algorithm that keep a share of one token a step's right answers.

    MODEL is a folder, a hub id or a wheel that holds one; default: the embedded model.

    All settings are asked a few questions, those that may pass and are fastest twice as many, and so on; who
    is shown to be below the floor is out. Prints what was tried, and the flags to use.

    The exit status is 1 where nothing passes, and one token a step is what to use; or where a setting failed.
    """
    _check(given)
    wish = Wish.of(ctx, given["baseline"])
    choice = ModelChoice.of(given)
    questions = _questions(given, model=choice.named)
    with answers_alone(), opened_model(choice, wish.settings) as lm, ended_like_an_interrupt():
        status = _tuned(lm, wish, questions, given)
    ctx.exit(status)


def _check(given: Mapping[str, Any]) -> None:
    floor, path = given["floor"], given["json_file"]
    if not 0 < floor <= 1:
        raise UsageError(f"--floor {floor:g} is no share of right answers; give one above 0 and at most 1")
    if given["file"] is not None and given["of"]:
        raise UsageError("--prompts and --tasks are both given; give one of them")
    if path == Path("-"):
        raise UsageError("--json-file: - is no file; give --json for JSON on stdout")
    if given["overwrite"] and path is None:
        raise UsageError("--overwrite is of a file; give --json-file FILE, or leave it out")
    check_files([("--json-file", path)] if path is not None else [], overwrite=given["overwrite"])


def _questions(given: Mapping[str, Any], *, model: str | None) -> Questions:
    count, seed = given["count"], given["drawn"]
    if given["file"] is not None:
        return questions_of_file(given["file"], count, _QUESTIONS, seed)
    wheel = wheel_of(model)
    if not given["of"] and model not in (None, wheel):
        raise UsageError(
            "nothing is asked; give --prompts FILE, or --tasks all for the tasks of the embedded model"
        )
    of = [name.strip() for each in given["of"] for name in each.split(",")]
    return questions_of_tasks(of, count or _QUESTIONS, seed, wheel=wheel)


def _tuned(lm: LoadedModel, wish: Wish, questions: Questions, given: Mapping[str, Any]) -> int:
    """The exit status; all that was found is told."""
    baseline, brackets = wish.on(lm)
    speed = given["speed"].replace("-", "_")
    asking = Asking(
        lm=lm,
        questions=questions.asked,
        rows=given["rows"],
        raw=given["raw"],
        timed=speed == "tokens_per_second",
    )
    _ask_baseline(baseline, asking)
    judge = Judge(baseline=baseline, floor=given["floor"], questions=len(questions.asked), speed=speed)
    outcome = Outcome(questions=questions, judge=judge, brackets=brackets)
    with _told_at_the_end(lm, outcome, given) as unwritten:
        for bracket in brackets:
            bracket.race(asking, judge)
    for trial, error in outcome.failures():
        report(error, of=f"{trial.candidate.label}: ", debug=tracebacks_wanted())
    passed = any(best is not None for best in outcome.best())
    return 1 if unwritten or not passed or any(outcome.failures()) else 0


def _ask_baseline(baseline: Trial, asking: Asking) -> None:
    """Ask it everything, in the stages of the others, whose speed is compared with its in each.

    Raises its error, and ``UsageError`` where nothing is right that could be kept.
    """
    try:
        for size in stages(len(asking.questions)):
            asking.ask([baseline], size, f"One token a step, {size} of {len(asking.questions)} questions")
    except KeyboardInterrupt:
        note("ended before one token a step was asked all questions; nothing is told, and no file is written")
        raise
    if baseline.error is not None:
        raise baseline.error
    if not any(baseline.right):
        raise UsageError(
            f"one token a step ({baseline.candidate.label}) has none of {baseline.asked} questions right, so "
            "there is nothing to keep a share of; give questions that the model can answer, with what is "
            "expected word for word, or longer answers by -p gen_length=N"
        )
    _remark(baseline)


def _remark(baseline: Trial) -> None:
    """What is to be known of one token a step, on stderr."""
    kept = baseline.figure("committed_per_forward")
    if kept > _A_TOKEN:
        note(
            f"{baseline.candidate.label} keeps {kept:.2f} tokens a forward, which is not one; "
            "another baseline can be given by --baseline"
        )
    length, whose = baseline.candidate.effective.get("gen_length"), "answers of one token a step"
    if told := told_cut(baseline.samples, length, whose, "-p gen_length=N"):
        note(told)


@contextmanager
def _told_at_the_end(
    lm: LoadedModel, outcome: Outcome, given: Mapping[str, Any]
) -> Iterator[list[Exception]]:
    """Say what was found while this was entered, be it that Ctrl-C ended it; in the list, once it is left,
    stands why a file was not written."""
    about = surroundings(lm, _distributions(lm, outcome))
    unwritten: list[Exception] = []
    try:
        yield unwritten
    finally:
        unwritten += _tell(about, outcome, given)


def _tell(about: dict[str, Any], outcome: Outcome, given: Mapping[str, Any]) -> list[Exception]:
    """Write the file, then print, as a reader of stdout may leave. What cannot be written is told at once,
    and returned."""
    found = record(about, {"rows": given["rows"], "seed": given["drawn"], "raw": given["raw"]}, outcome)
    failure = None
    if given["json_file"] is not None:
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        failure = written(given["json_file"], lambda path: path.write_text(text, encoding="utf-8"))
    if failure is not None:
        report(failure, debug=tracebacks_wanted())
    if given["as_json"]:
        print_json(found)
    else:
        print_surroundings(about)
        print_trials(outcome)
        print_flags(outcome)
    return [] if failure is None else [failure]


def _distributions(lm: LoadedModel, outcome: Outcome) -> Sequence[str]:
    """The wheels of the engine and of what was tried."""
    tried = [outcome.baseline.candidate.algorithm, *(each.algorithm for each in outcome.brackets)]
    found = [registry.get_algorithm_info(name).distribution for name in tried]
    return [name for name in (lm.engine.distribution, *found) if name is not None]
