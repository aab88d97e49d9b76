"""The command ``verify``: whether a model decodes as it should here, and as the published code does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from llada_core import UsageError
from llada_core.cli.diversion import answers_alone
from llada_core.cli.opening import opened_model
from llada_core.cli.options import (
    ModelChoice,
    dcp_options,
    loading_options,
    output_options,
    parameter_option,
)
from llada_core.cli.progress import busy_bar
from llada_core.cli.prompts import Entry
from llada_core.cli.settings import Setting, SettingsCommand, settings_of
from llada_core.loading import LoadedModel
from llada_dev.verify import graphs
from llada_dev.verify.checks import checked
from llada_dev.verify.findings import Finding
from llada_dev.verify.opening import Asked, cases_of, settings_on
from llada_dev.verify.promises import Conditions
from llada_dev.verify.prompts import prompts_for
from llada_dev.verify.report import print_findings
from llada_dev.verify.rows import Answered
from llada_dev.verify.upstream.certificates import certified

__all__ = ["verify"]

_ROWS, _REPEATS = 8, 3

_EXAMPLE = """\b
llada verify ./my-model --algorithm dual_cache -p threshold=0.8 --algorithm basic
llada verify --upstream --json
"""


@click.command(cls=SettingsCommand, epilog=_EXAMPLE)
@click.argument("model", required=False, metavar="[MODEL]")
@dcp_options
@loading_options
@click.option(
    "--algorithm", "algorithms", metavar="NAME", multiple=True,
    help="Algorithm to check; repeatable. Default: all that run on the model.",
)  # fmt: skip
@parameter_option("A parameter of the --algorithm before it; before the first one, of all. Repeatable.")
@click.option(
    "--prompts", "file", metavar="FILE",
    help="Prompts (- is stdin): text, one a line, or JSON lines of prompt or messages; a prompt may be a "
    "list of token ids. Default: a few of its own.",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Take prompts as they stand, without the chat template.")
@click.option("--gen-length", type=click.IntRange(min=1), metavar="N", help="Tokens an answer. Default: 64.")
@click.option(
    "--rows", type=click.IntRange(min=2), metavar="N",
    help="Prompts that share a forward, at most. Default: 8.",
)  # fmt: skip
@click.option(
    "--seed", "source", type=click.IntRange(min=0), default=0, metavar="N", show_default=True,
    help="Seed of what is drawn: tokens, and prompts for a model without a tokenizer.",
)  # fmt: skip
@click.option(
    "--upstream", is_flag=True,
    help="Compare with the published code instead, from checkouts in 3rdparty/ or LLADA_FASTDLLM_PATH and "
    "LLADA_DINFER_PATH.",
)  # fmt: skip
@click.option(
    "--repeat", type=click.IntRange(min=1), metavar="N",
    help="With --upstream: how often both are run for the time. Default: 3.",
)  # fmt: skip
@output_options
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    file: str | None,
    raw: bool,
    gen_length: int | None,
    rows: int | None,
    source: int,
    upstream: bool,
    repeat: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Show that MODEL (a folder, a hub id, a wheel that holds one; the embedded model) decodes as it should.

    Each algorithm is compared with its own plain path, with itself in batches and beside others, with itself
    again, without a cache, and, on a GPU, without CUDA graphs. The exit status is 1 where something that is
    promised does not hold.
    """
    choice, settings = ModelChoice.of(given), settings_of(ctx)
    asked = Asked(gen_length=gen_length, seed=source, raw=raw)
    if repeat is not None and not upstream:
        raise UsageError("--repeat is of the time against published code; give --upstream too")
    if rows is not None and upstream:
        raise UsageError("--rows is of batches, and published code decodes each prompt alone; leave it out")
    with answers_alone():
        if upstream:
            passed = certified(choice, settings, file, asked, repeat=repeat or _REPEATS, as_json=as_json)
        else:
            passed = _verified(choice, settings, file, asked, rows=rows or _ROWS, as_json=as_json)
    if not passed:
        ctx.exit(1)


def _verified(
    choice: ModelChoice, settings: list[Setting], file: str | None, asked: Asked, *, rows: int, as_json: bool
) -> bool:
    """Whether nothing failed; all that was found is told."""
    with opened_model(choice, settings) as lm:
        conditions = Conditions.of(lm.model.network)
        named, findings = settings_on(lm, settings)
        prompts = prompts_for(lm.model, file, seed=asked.seed)
        answers, found = _checked(lm, named, prompts, asked, rows=rows)
        facts = _facts(lm, conditions, prompts=len(prompts), rows=rows)
    findings += found
    reason = graphs.why_not(conditions)
    if reason is not None:
        findings += [Finding.not_run("graphs", each.label, reason) for each in answers]
    else:
        findings += graphs.against_eager(answers, conditions, lambda: opened_model(choice, named))
    findings.sort(key=lambda finding: _place(finding, [each.label for each in answers]))
    print_findings(findings, facts, conditions, as_json=as_json)
    return not any(finding.verdict == "failed" for finding in findings)


def _checked(
    lm: LoadedModel, settings: list[Setting], prompts: Sequence[Entry], asked: Asked, *, rows: int
) -> tuple[list[Answered], list[Finding]]:
    """What each prompt becomes alone, and what the checks find; nothing of it holds the model."""
    with busy_bar("Decoding each prompt alone"):
        cases = cases_of(lm, settings, prompts, asked)
    with busy_bar("Checking"):
        findings = list(checked(lm, cases, rows=rows))
    return [case.answered for case in cases], findings


def _facts(lm: LoadedModel, conditions: Conditions, *, prompts: int, rows: int) -> dict[str, Any]:
    return {
        "model": lm.model.path,
        "engine": lm.engine.name,
        "device": conditions.device,
        "dtype": conditions.dtype,
        "prompts": prompts,
        "rows": rows,
    }


def _place(finding: Finding, labels: list[str]) -> int:
    """By algorithm, in the order of the call; those that cannot run come last."""
    return labels.index(finding.algorithm) if finding.algorithm in labels else len(labels)
