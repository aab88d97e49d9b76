"""The guide to measuring tells every option and every figure."""

from __future__ import annotations

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
