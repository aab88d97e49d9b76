"""What a call found, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llada_core.cli.output import note, print_json, print_table
from llada_core.cli.tables import Column
from llada_dev.verify.findings import Finding, Verdict
from llada_dev.verify.promises import Conditions

__all__ = ["print_findings"]

_ORDER: tuple[Verdict, ...] = ("passed", "failed", "told", "not run")


def print_findings(
    findings: Sequence[Finding], facts: Mapping[str, Any], conditions: Conditions, *, as_json: bool
) -> None:
    """All ``findings`` on stdout; beside a table, what they mean here is on stderr."""
    failed = any(finding.verdict == "failed" for finding in findings)
    if as_json:
        promised = {"notes": conditions.notes, "findings": [each.as_dict() for each in findings]}
        print_json({**facts, **promised, "passed": not failed})
        return
    columns = [Column(heading=name) for name in ("algorithm", "check", "result")]
    cells = [[each.algorithm, each.check, _word(each), each.detail] for each in findings]
    print_table([*columns, Column(heading="found", wraps=True)], cells)
    note(" · ".join(f"{name} {value}" for name, value in facts.items() if value is not None))
    for line in conditions.notes:
        note(line)
    counts = Counter(finding.verdict for finding in findings)
    note(", ".join(f"{counts[verdict]} {verdict}" for verdict in _ORDER if counts[verdict]))


def _word(finding: Finding) -> str:
    """The verdict; one that fails is to be seen among the others."""
    return finding.verdict.upper() if finding.verdict == "failed" else finding.verdict
