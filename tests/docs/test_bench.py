"""The guide to measuring tells every option and every figure."""

from __future__ import annotations

import re

from llada_core.bench import FIGURES
from llada_core.cli.bench import bench
from llada_core.cli.options import model_options
from tests.docs.documents import ROOT


def guide() -> str:
    return (ROOT / "docs" / "bench.md").read_text()


def test_the_guide_has_every_figure_as_table_and_json_call_it() -> None:
    for figure in FIGURES.values():
        assert f"| {figure.heading} | `{figure.name}` |" in guide()


def test_the_guide_has_every_option_that_is_not_of_the_model() -> None:
    @model_options
    def of_the_model() -> None:
        pass

    others = {option.name for option in of_the_model.__click_params__}  # type: ignore[attr-defined]
    mine = [option for option in bench.params if option.name not in others]
    assert len(mine) > 10
    for option in mine:
        assert any(name in guide() for name in option.opts), option.opts


def test_the_tables_shown_have_the_headings_of_the_program() -> None:
    """The first is of lengths and batches, with all columns of a run that goes well; the second of a pair."""
    figures = [figure.heading for figure in FIGURES.values()]
    everything = ["setting", "length", "batch", figures[0], "spread", *figures[1:]]
    (table,) = re.findall(r"^setting .*$", guide(), flags=re.MULTILINE)
    assert re.split(r" {2,}", table) == everything
    (pair,) = re.findall(r"^figure .*$", guide(), flags=re.MULTILINE)
    assert re.split(r" {2,}", pair) == ["figure", "A", "B", "B/A", "interval", "pairs for B", "verdict"]


def test_the_table_shown_has_a_row_for_every_case_of_its_command() -> None:
    shown = re.findall(r"^(dual_cache threshold=0\.[79]) +(\d+) +(\d+) ", guide(), flags=re.MULTILINE)
    settings = ("dual_cache threshold=0.9", "dual_cache threshold=0.7")
    assert shown == [(s, length, batch) for batch in "12" for length in ("32", "64") for s in settings]
