"""Answers on stdout, in the order of settings and prompts: alone, under headings, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llada_core.cli.comparison import same_as_first
from llada_core.cli.output import print_figures, print_json, print_warnings
from llada_core.cli.reporting import report, tracebacks_wanted
from llada_core.cli.runs import Outcome, Run
from llada_core.cli.streams import line_of, write
from llada_core.generation.results import GenerationResult

__all__ = ["Answers"]


class Answers:
    """Writes outcomes as they come.

    One prompt answered with one setting is the answer alone, or one JSON object; its error is raised. With
    several settings, JSON is one object with all ``results``, written by ``end``; of the prompts of a file,
    each is a line. The error of one of several is told on stderr.
    """

    def __init__(self, runs: Sequence[Run], *, as_json: bool, from_file: bool) -> None:
        self._runs, self._as_json, self._from_file = runs, as_json, from_file
        self._compares, self._collected, self._written = len(runs) > 1, list[dict[str, Any]](), 0

    def take(self, run: Run, outcome: Outcome) -> None:
        """Write the outcome, or keep it for ``end``."""
        places = (outcome.entry.place, run.label if self._compares else "")
        place = ", ".join(filter(None, places))
        if outcome.error is not None:
            if not place:
                raise outcome.error
            report(outcome.error, of=f"{place}: ", debug=tracebacks_wanted())
        if self._as_json:
            self._take_json(run, outcome)
        elif outcome.result is not None:
            self._take_text(outcome.result, place)

    def end(self) -> None:
        """Write what was kept."""
        if self._collected:
            print_json({"results": self._collected})

    def _take_text(self, result: GenerationResult, place: str) -> None:
        heading = f"==> {line_of(place)} <==\n" if place else ""
        write(("\n" if self._written else "") + heading + result.text + "\n")
        self._written += 1
        print_warnings(result, of=f"{place}: " if place else "")
        if not place:
            print_figures(result)

    def _take_json(self, run: Run, outcome: Outcome) -> None:
        record = self._record(run, outcome)
        if self._from_file:
            print_json(record, indent=None)
        elif self._compares:
            self._collected.append(record)
        else:
            print_json(record)

    def _record(self, run: Run, outcome: Outcome) -> dict[str, Any]:
        record: dict[str, Any] = {}
        if self._from_file:
            record |= {"line": outcome.entry.line, "input": outcome.entry.given}
        if self._compares:
            record["setting"] = run.label
        if outcome.result is None:
            return {**record, "error": line_of(str(outcome.error))}
        if self._compares:
            record["same_answer_as_first"] = list(same_as_first(run, self._runs))[-1]
        return {**record, **outcome.result.as_dict()}
