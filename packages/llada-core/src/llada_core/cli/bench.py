"""The command ``bench``: algorithms measured on the same questions, in a table, as JSON and as a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from llada_core import registry
from llada_core.bench import surroundings
from llada_core.bench.comparing import LEAST_PAIRS
from llada_core.bench.measuring import MOST_ROWS
from llada_core.cli.bench_pairs import compared_first
from llada_core.cli.bench_questions import asked_questions
from llada_core.cli.bench_telling import SPEEDS, Wanted, told_at_the_end
from llada_core.cli.bench_trials import Method, Trial, run_trials, trials_of
from llada_core.cli.opening import opened_model
from llada_core.cli.options import ModelChoice, model_options, spelling_among
from llada_core.cli.reporting import report, tracebacks_wanted
from llada_core.cli.settings import (
    Setting,
    SettingsCommand,
    settings_of,
    settings_options_without_length,
)
from llada_core.errors import UsageError
from llada_core.loading import LoadedModel
from llada_core.parameters import STANDARD

__all__ = ["bench"]

_WHOLE = re.compile(r"0*[1-9][0-9]{0,17}", re.ASCII)
_MOST = 2**31 - 1  # tokens of an answer; what a model has room for, it says itself
_REPEATS, _PAIRS = 3, 10  # without --compare, and with it
_EXAMPLE = """\b
llada bench --tasks 5 --algorithm dual_cache -p threshold=0.9 --algorithm dual_cache -p threshold=0.7 \\
    --gen-length 64,128 --batch 1,8 --json-file figures.json --plot figures.png
llada bench --tasks 5 --compare basic dual_cache
"""


def _numbers(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[int]:
    """The whole numbers of lists such as ``64,128``, each once."""
    words = [word.strip() for value in values for word in value.split(",")]
    wrong = next((word for word in words if not _WHOLE.fullmatch(word)), None)
    if wrong is not None:
        raise click.BadParameter(f"{wrong[:40]!r} is no number from 1 on; write such as 64,128", ctx, param)
    most = MOST_ROWS if param.name == "batches" else _MOST
    large = next((word for word in words if int(word) > most), None)
    if large is not None:
        raise click.BadParameter(f"{large} is too large; give at most {most}", ctx, param)
    return list(dict.fromkeys(map(int, words)))


@click.command(cls=SettingsCommand, epilog=_EXAMPLE)
@model_options
@settings_options_without_length
@click.option(
    "--gen-length",
    "lengths",
    callback=_numbers,
    multiple=True,
    metavar="N,N",
    help="Lengths of an answer, at most; each is measured. Default: the algorithm's.",
)
@click.option(
    "--batch",
    "batches",
    callback=_numbers,
    multiple=True,
    metavar="N,N",
    help="Rows in flight at a time; each is measured. Default: 1.",
)
@click.option(
    "--prompts",
    "file",
    metavar="FILE",
    help="Ask the prompts of a file (- is stdin): text, one a line, or JSON lines of prompt or messages, "
    "with the expected answer.",
)
@click.option(
    "--tasks",
    "count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Ask N held-out instances of each family of the embedded model's tasks, or of those of the model "
    "of a wheel. Default, for such a model: 5.",
)
@click.option("--family", "of", multiple=True, metavar="NAME", help="Of this family only; repeatable.")
@click.option("--raw", is_flag=True, help="Take prompts as they stand, without the chat template.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Measure all of it N times. Default: {_REPEATS}; with --compare, {_PAIRS}.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Batches that each setting answers before, unmeasured.",
)
@click.option(
    "--compare",
    nargs=2,
    metavar="A B",
    help="Measure two settings in pairs and tell their ratios: algorithms, or numbers of the settings given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all samples as JSON, instead of the table.")
@click.option(
    "--json-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write all samples as JSON, beside the table.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw accuracy against speed, as PNG, SVG or PDF.",
)
@click.option(
    "--speed", type=click.Choice(tuple(SPEEDS)), help="What --plot takes for speed. Default: tokens/s."
)
@click.option("--overwrite", is_flag=True, help="Write over files that are there.")
@click.pass_context
def bench(ctx: click.Context, /, **given: Any) -> None:
    """Measure algorithms on the same questions: speed, forwards, memory and accuracy.

    Each --algorithm takes the -p that follow it, and every length and batch is measured. All cases are warmed
    up, then measured in rounds, each once a round. Nothing is written but what --json-file and --plot name.

    The exit status is 1 where a setting could not be measured, or a file not be written; the rest is told
    and written all the same.
    """
    wanted = Wanted.of(given)
    settings = _settings(ctx, given["compare"])
    lengths, batches = given["lengths"], given["batches"] or [1]
    _check_lengths(settings, lengths)
    method = _method(given)
    if wanted.picture is not None and all(question.accepts is None for question in method.questions):
        raise UsageError(
            "--plot: it is not known which answers are right; give --tasks N, or prompts with expected"
        )
    with opened_model(
        ModelChoice.of(given), [each for s in settings for each in _of_lengths(s, lengths)]
    ) as lm:
        trials = trials_of(lm, settings, lengths, batches)
        about = surroundings(lm, _distributions(lm, trials))
        with told_at_the_end(trials, method, about, wanted) as unwritten:
            run_trials(lm, trials, method)
    _conclude(ctx, trials, unwritten)


def _distributions(lm: LoadedModel, trials: Sequence[Trial]) -> list[str]:
    """The wheels of the engine and of the algorithms that are measured."""
    measured = [lm.algorithm(trial.case.algorithm).name for trial in trials]
    algorithms = [registry.get_algorithm_info(name).distribution for name in measured]
    return [name for name in (lm.engine.distribution, *algorithms) if name is not None]


def _settings(ctx: click.Context, compare: tuple[str, str] | None) -> list[Setting]:
    if compare is None:
        return settings_of(ctx)
    if not ctx.params["algorithms"]:
        return settings_of(ctx, otherwise=compare)
    return compared_first(settings_of(ctx), compare)


def _method(given: dict[str, Any]) -> Method:
    compares = given["compare"] is not None
    repeats = given["repeats"] or (_PAIRS if compares else _REPEATS)
    if compares and repeats < LEAST_PAIRS:
        raise UsageError(
            f"--compare: {repeats} pairs show nothing for sure; give --repeats {LEAST_PAIRS} or more"
        )
    questions, source = asked_questions(
        given["file"], given["count"], given["of"], model=ModelChoice.of(given).named
    )
    return Method(
        questions=questions, source=source, raw=given["raw"], repeats=repeats, warm_up=given["warm_up"]
    )


def _check_lengths(settings: Sequence[Setting], lengths: Sequence[int]) -> None:
    for setting in settings:
        own = () if setting.algorithm is None else registry.get_algorithm_info(setting.algorithm).parameters
        spelling = spelling_among((*own, *STANDARD.values()), setting.parameters, "gen_length")
        if lengths and spelling is not None:
            raise UsageError(f"{spelling} is given by -p and by --gen-length; give it once")


def _of_lengths(setting: Setting, lengths: Sequence[int]) -> Iterator[Setting]:
    for length in lengths:
        parameters = {**setting.parameters, "gen_length": length}
        yield Setting(algorithm=setting.algorithm, parameters=parameters)
    if not lengths:
        yield setting


def _conclude(ctx: click.Context, trials: Sequence[Trial], unwritten: Sequence[Exception]) -> None:
    """Say which settings failed, and exit with 1 where one did, or a file was not written; where all
    failed, raise the first's error."""
    failed = [(trial, trial.error) for trial in trials if trial.error is not None]
    if failed and len(failed) == len(trials):
        raise failed[0][1]
    for trial, error in failed:
        report(error, of=f"{trial.case.label}: ", debug=tracebacks_wanted())
    if failed or unwritten:
        ctx.exit(1)
