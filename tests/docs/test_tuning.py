"""The guide to tuning tells every option and every verdict."""

from __future__ import annotations

import inspect
import re

from llada_core.cli.options import dcp_options, loading_options
from llada_decoders.tuning import outcome
from llada_decoders.tuning.command import tune
from tests.docs.documents import ROOT


def guide() -> str:
    return (ROOT / "docs" / "tuning.md").read_text()


def test_the_guide_has_every_option_that_is_not_of_the_model() -> None:
    @dcp_options
    @loading_options
    def of_the_model() -> None:
        pass

    others = {option.name for option in of_the_model.__click_params__}  # type: ignore[attr-defined]
    mine = [option for option in tune.params if option.name not in {*others, "model"}]
    assert len(mine) > 10
    for option in mine:
        assert any(name in guide() for name in option.opts), option.opts


def test_the_guide_has_every_verdict() -> None:
    source = inspect.getsource(outcome.verdict) + inspect.getsource(outcome._not_taken)
    verdicts = set(re.findall(r'(?:return|else) "([^"]+)"|return "[^"]+"', source)) | {"take it"}
    assert len(verdicts) > 9
    table = [line.split("|")[1] for line in guide().splitlines() if line.startswith("| `")]
    told = {name for cell in table for name in re.findall(r"`([^`]+)`", cell)}
    assert verdicts - {""} <= told


def test_the_tables_shown_have_the_headings_of_the_program() -> None:
    headings = ["setting", "asked", "right %", "share %", "tokens/forward", "speed-up", "verdict"]
    shown = re.findall(r"^setting .*$", guide(), flags=re.MULTILINE)
    assert [re.split(r" {2,}", line) for line in shown] == [headings] * 2
