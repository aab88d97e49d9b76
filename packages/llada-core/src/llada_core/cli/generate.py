"""The command ``generate``: a prompt, answered by one algorithm or by several in turn."""

from __future__ import annotations

import sys
from typing import Any

import click

from llada_core.cli.live import watch
from llada_core.cli.opening import opened_model
from llada_core.cli.options import (
    ModelChoice,
    decoding_options,
    model_options,
    output_options,
    parameters_of,
)
from llada_core.cli.output import print_figures, print_json, print_warnings
from llada_core.errors import PromptError
from llada_core.generation.results import GenerationResult
from llada_core.loading import LoadedModel

__all__ = ["generate"]


@click.command()
@click.argument("prompt")
@model_options
@click.option(
    "--algorithm",
    "algorithms",
    metavar="NAME",
    multiple=True,
    help="Algorithm to decode with; repeatable, to compare. Default: LLADA_ALGORITHM, or the engine's.",
)
@decoding_options
@click.option("--raw", is_flag=True, help="Take the prompt as it stands, without the chat template.")
@click.option("--live", is_flag=True, help="Show the canvas filling, on a terminal.")
@output_options
def generate(
    prompt: str,
    algorithms: tuple[str, ...],
    assignments: tuple[str, ...],
    max_tokens: int | None,
    seed: int | None,
    raw: bool,
    live: bool,
    as_json: bool,
    **model: Any,
) -> None:
    """Answer PROMPT; - reads it from stdin."""
    text = _read_stdin() if prompt == "-" else prompt
    parameters = parameters_of(assignments, max_tokens, seed)
    watched = live and not as_json and sys.stdout.isatty()
    results = []
    with opened_model(ModelChoice(**model), algorithms, parameters) as lm:
        for name in algorithms or (None,):
            result = _answer(lm, text, name, raw, parameters, watched=watched)
            results.append(result)
            if not as_json:
                _print_answer(result, first=len(results) == 1)
    if as_json:
        listed = [result.as_dict() for result in results]
        print_json(listed if len(algorithms) > 1 else listed[0])


def _read_stdin() -> str:
    try:
        return sys.stdin.read().rstrip("\n")
    except UnicodeDecodeError as exc:
        raise PromptError(f"stdin is not text in {exc.encoding}; convert it first") from exc


def _answer(
    lm: LoadedModel,
    prompt: str,
    algorithm: str | None,
    raw: bool,
    parameters: dict[str, Any],
    *,
    watched: bool,
) -> GenerationResult:
    if watched:
        return watch(lm.stream(prompt, algorithm=algorithm, raw=raw, **parameters), lm.model)
    return lm.generate(prompt, algorithm=algorithm, raw=raw, **parameters)


def _print_answer(result: GenerationResult, *, first: bool) -> None:
    if not first:
        click.echo()
    click.echo(result.text)
    print_figures(result)
    print_warnings(result)
