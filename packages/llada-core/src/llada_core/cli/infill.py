"""The commands ``infill`` and ``score``: blanks in a text filled, and what could stand in one compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from llada_core.cli.opening import opened_model
from llada_core.cli.options import (
    ModelChoice,
    given_parameters,
    model_options,
    output_options,
    parameter_option,
)
from llada_core.cli.output import print_figures, print_json, print_line, print_table, print_warnings
from llada_core.cli.progress import busy_bar
from llada_core.cli.prompts import prompt_of_call
from llada_core.cli.settings import Setting
from llada_core.cli.streams import check_text
from llada_core.cli.tables import Column
from llada_core.errors import UsageError
from llada_core.generation.results import Score
from llada_core.generation.templates import pieces_of

__all__ = ["infill", "score"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_COLUMNS = (
    Column(heading="candidate"),
    Column(heading="tokens", right=True),
    Column(heading="probability", right=True),
    Column(heading="log p per token", right=True),
)
_EXAMPLE_OF_INFILL = """\b
llada infill "Tom has {{1}} apples and buys {{1}} more. Now he has 12."
llada infill --prompt "What is 12 + 30?" "12 + {{2}} = 42."
"""
_EXAMPLE_OF_SCORE = """\b
llada score --prompt "What is 12 + 30?" "12 + 30 = {{1}}." 42 41 52
"""


def _template_options(command: _Command) -> _Command:
    """``template``, ``prompt``, ``raw``, ``algorithm``, the model's options and ``--json``."""
    for option in (
        output_options,
        model_options,
        click.option("--algorithm", metavar="NAME", help="Default: LLADA_ALGORITHM, or the engine's."),
        click.option("--raw", is_flag=True, help="Take the prompt as it stands, without the chat template."),
        click.option("--prompt", metavar="TEXT", help="What TEMPLATE answers. Default: it is a text alone."),
    ):
        command = option(command)
    return command


@click.command(epilog=_EXAMPLE_OF_INFILL)
@click.argument("template")
@_template_options
@parameter_option("A parameter of the algorithm. Repeatable.")
@click.option("--seed", type=int, metavar="N", help="Seed of what is drawn at random.")
def infill(
    template: str,
    prompt: str | None,
    raw: bool,
    algorithm: str | None,
    assignments: Sequence[str],
    seed: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Fill the blanks of TEMPLATE (- reads it from stdin); {{8}} is one of eight tokens.

    The text goes to stdout, figures to stderr. What is given stays as it is, and the model sees it on both
    sides of a blank; what a blank says ends before its first end token. {{{{ stands for two braces.
    """
    text = _template(template, prompt=prompt, raw=raw)
    setting = Setting(algorithm=algorithm, parameters=given_parameters(assignments, None, seed))
    with opened_model(ModelChoice.of(given), [setting]) as lm, busy_bar("Filling"):
        result = lm.infill(text, prompt=prompt, algorithm=algorithm, raw=raw, **setting.parameters)
    if as_json:
        print_json(result.as_dict())
    else:
        print_line(result.text)
        print_figures(result)
    print_warnings(result)


@click.command(epilog=_EXAMPLE_OF_SCORE)
@click.argument("template")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True)
@_template_options
def score(
    template: str,
    candidates: Sequence[str],
    prompt: str | None,
    raw: bool,
    algorithm: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Say how probable each CANDIDATE is in the one blank of TEMPLATE, {{1}}.

    The blank takes the length of the candidate. The probability is the product of those of its tokens, each
    with masks in all other places of the blank, as at the first step of decoding: compare candidates of one
    number of tokens by it, and others by the mean of the logarithm a token.
    """
    text = _template(template, prompt=prompt, raw=raw)
    setting = Setting(algorithm=algorithm, parameters={})
    with opened_model(ModelChoice.of(given), [setting]) as lm, busy_bar("Scoring"):
        scored = lm.score(
            text,
            [check_text(each, "the candidate") for each in candidates],
            prompt=prompt,
            algorithm=algorithm,
            raw=raw,
        )
    if as_json:
        print_json([_record(each) for each in scored])
    else:
        print_table(_COLUMNS, [_row(each) for each in scored])


def _template(template: str, *, prompt: str | None, raw: bool) -> str:
    """The text with blanks, known to have one, before anything is loaded."""
    if prompt is not None:
        check_text(prompt, "the prompt")
    elif raw:
        raise UsageError("--raw is given, and no --prompt; leave it out, or give the prompt")
    text = prompt_of_call(template).prompt
    assert isinstance(text, str)
    pieces_of(text)
    return text


def _record(scored: Score) -> dict[str, Any]:
    """What JSON says of it, which has no infinity: of what the network rules out there is no logarithm."""
    possible = scored.log_probability != -math.inf
    return {
        "text": scored.text,
        "tokens": len(scored.token_ids),
        "probability": scored.probability,
        "log_probability": scored.log_probability if possible else None,
        "log_probability_per_token": scored.per_token if possible else None,
    }


def _row(scored: Score) -> list[str]:
    return [
        scored.text,
        str(len(scored.token_ids)),
        f"{scored.probability:.3g}",
        f"{scored.per_token:.3f}",
    ]
