"""``llada algorithms NAME`` and ``llada engines NAME``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from llada_core import get_algorithm_info, get_engine
from tests.support.program import error

pytestmark = pytest.mark.usefixtures("world")


def test_the_parameters_of_an_algorithm_are_told_for_people(llada: Any) -> None:
    status, out, err = llada("algorithms", "two")
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:4] == [
        "pairs",
        "summary The algorithm pairs.",
        "available yes",
        "engine fake, whose default it is",
    ]
    assert "also called two" in lines
    at = lines.index("threshold a number from 0 to 1, or none; default 0.9")
    assert lines[at + 1 : at + 3] == [
        "no default where steps or factor is given",
        "also called confidence_threshold",
    ]
    for parameter in get_algorithm_info("pairs").parameters:
        assert any(line.startswith(f"{parameter.name} {parameter.expected}") for line in lines)
        assert parameter.summary in lines


def test_why_an_algorithm_cannot_run_is_told(llada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    info = replace(get_algorithm_info("opaque"), available=False, reason="it needs x; pip install x")
    monkeypatch.setattr("llada_core.registry.get_algorithm_info", lambda _: info)
    said = " ".join(llada("algorithms", "opaque").out.split())
    assert "available no: it needs x; pip install x" in said
    assert "streams no: its answer comes all at once" in said


def test_an_engine_is_told_for_people(llada: Any) -> None:
    status, out, err = llada("engines", "fake")
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "fake"
    for said in ("available yes", "default pairs", "model types llada", "distribution fake-engine"):
        assert said in lines


def test_json_of_one_is_what_the_listing_says_of_it(llada: Any) -> None:
    assert json.loads(llada("algorithms", "pairs", "--json").out) == get_algorithm_info("pairs").as_dict()
    engine = json.loads(llada("engines", "fake", "--json").out)
    assert get_engine("fake").as_dict().items() <= engine.items()
    assert (engine["model_types"], engine["architectures"], engine["requires"]) == (["llada"], [], [])


@pytest.mark.parametrize("command", ["algorithms", "engines"])
def test_a_name_that_nobody_has_is_told_with_what_may_be_meant(llada: Any, command: str) -> None:
    name, near = {"algorithms": ("pair", "pairs"), "engines": ("fak", "fake")}[command]
    assert f"did you mean {near}" in error(llada(command, name), status=2)
