"""``llada check``: a line a check, with what to do, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llada_core import get_algorithm, register_algorithm, standard
from tests.support.program import Llada, error

pytestmark = pytest.mark.usefixtures("world")


def register_mine() -> None:
    """An algorithm that is of no distribution."""
    fields = {"name": "mine", "engine": "fake", "parameters": (standard("gen_length"),)}
    register_algorithm(type("Mine", (type(get_algorithm("pairs")),), fields), aliases=["my"])


def test_an_algorithm_that_keeps_its_contract_passes(llada: Llada, folder: Path) -> None:
    register_mine()
    status, out, err = llada("check", "my", "--model", str(folder))
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "algorithm mine"
    assert "  passed   a batch is its rows alone" in lines
    assert "  not run  the same seed draws the same answer: it takes no seed" in lines
    assert " 0 failed" in err


def test_a_distribution_is_checked_with_all_that_it_brings(llada: Llada, folder: Path) -> None:
    status, out, _ = llada("check", "fake-engine", "--model", str(folder), "--json")
    told = json.loads(out)
    assert status == 1  # it names what is not there
    assert [(each["kind"], each["subject"]) for each in told["suites"]] == [
        ("distribution", "fake-engine"),
        ("engine", "alien"),
        ("algorithm", "alien"),
        ("algorithm", "guest"),
        ("engine", "fake"),
        ("algorithm", "broken"),
        ("algorithm", "opaque"),
        ("algorithm", "pairs"),
        ("algorithm", "singles"),
    ]
    assert told["failed"] == sum(
        each["status"] == "failed" for suite in told["suites"] for each in suite["checks"]
    )
    reasons = {each["check"]: each["reason"] for suite in told["suites"] for each in suite["checks"]}
    assert "fake_engine:Missing cannot be imported" in str(
        reasons["its algorithms' targets are classes of algorithms"]
    )


def test_what_needs_a_model_is_not_run_without_one(llada: Llada, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise ImportError("no llada_tiny")

    monkeypatch.setattr("llada_tiny.model_path", nowhere)
    register_mine()
    status, out, _ = llada("check", "mine")
    assert status == 0
    assert (
        "  not run  it loads its model: no model is given, and no model is named and the embedded one is"
        in out
    )
    assert "  not run  it generates: there is no model to run it on" in out


def test_an_unknown_name_is_a_wrong_call(llada: Llada) -> None:
    told = error(llada("check", "opaqe"), status=2)
    assert (
        "no algorithm, engine or distribution with a plugin is called 'opaqe'; did you mean opaque?" in told
    )


def test_parameters_are_an_algorithms(llada: Llada, folder: Path) -> None:
    told = error(llada("check", "fake-engine", "-p", "gen_length=4"), status=2)
    assert "fake-engine is no algorithm, and gen_length is a parameter of one; leave it out" in told
    status, out, _ = llada("check", "opaque", "--model", str(folder), "-p", "no_such=1")
    assert status == 1
    assert "  failed   it generates: ParameterError: opaque does not take no_such" in out
