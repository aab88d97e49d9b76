"""The command ``check``: whether a plugin keeps the contract, a line a check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from llada_core.cli.options import MODEL, output_options, parameter_option, trust_option
from llada_core.cli.output import note, print_json, print_line
from llada_core.imports import load_target
from llada_core.parameters import parse_assignments

__all__ = ["check"]


@click.command()
@click.argument("name")
@click.option(
    "--model", metavar="MODEL", help=f"What to generate on. {MODEL}. Default: the embedded one, if it fits."
)
@parameter_option("A parameter that is given in each check, where NAME is an algorithm. Repeatable.")
@trust_option("Run code that comes with the model.")
@output_options
def check(
    name: str, model: str | None, assignments: tuple[str, ...], trust_remote_code: bool, as_json: bool
) -> None:
    """Check whether NAME, an algorithm, an engine or a distribution, keeps the contract of plugins.

    Of a distribution, all that it brings is checked. A check passes, fails with what to do, or is not run,
    with the reason. Models are loaded in float32 on the CPU, as rows are compared exactly. The exit status is
    1 where a check fails.
    """
    suites_of: Any = load_target("llada_core.testing:suites_of")
    params = parse_assignments(assignments)
    suites = suites_of(name, model=model, params=params, trust_remote_code=trust_remote_code)
    found: list[dict[str, Any]] = []
    for suite in suites:
        if not as_json:
            print_line(f"{suite.kind} {suite.subject}")
        outcomes = []
        for outcome in suite.outcomes():
            outcomes.append(outcome.as_dict())
            if not as_json:
                print_line(_line(outcomes[-1]))
        found.append({"kind": suite.kind, "subject": suite.subject, "checks": outcomes})
    _report(found, as_json)


def _line(outcome: Mapping[str, Any]) -> str:
    because = f": {outcome['reason']}" if outcome["reason"] else ""
    return f"  {outcome['status']:7}  {outcome['check']}{because}"


def _report(found: list[dict[str, Any]], as_json: bool) -> None:
    """Say how many passed; exit with status 1 where one failed."""
    statuses = [each["status"] for suite in found for each in suite["checks"]]
    counts = {status: statuses.count(status) for status in ("passed", "failed", "not run")}
    if as_json:
        print_json({**{status.replace(" ", "_"): count for status, count in counts.items()}, "suites": found})
    note(" · ".join(f"{count} {status}" for status, count in counts.items()))
    if counts["failed"]:
        click.get_current_context().exit(1)
