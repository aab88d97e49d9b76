"""``llada check``: a line a check, with what to do, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llada_core import get_algorithm, register_algorithm, standard
from llada_core.testing import fake_site
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-p", "nope=1"), "nope"),
        (("-p", "gen_length=x"), "gen_length"),
        (("--model", "/nowhere/at/all"), "--model: there is no folder /nowhere/at/all"),
    ],
)
def test_what_the_caller_gives_wrongly_is_no_fault_of_the_plugin(
    llada: Llada, arguments: tuple[str, ...], told: str
) -> None:
    register_mine()
    assert told in error(llada("check", "my", *arguments), status=2)


def test_what_a_broken_plugin_may_bring_says_so(llada: Llada, tmp_path: Path) -> None:
    with fake_site(tmp_path) as site:
        site.add("llada-sharp", plugin="raise RuntimeError('on purpose')")
        with site.shared():
            said = error(llada("check", "sharp"), status=2)
            assert "it may be of the plugin sharp of llada-sharp, which is broken: " in said
            assert "did you mean" not in said
            assert "pip install llada-dinfer" in error(llada("check", "dinfer_hierarchy"), status=2)


def test_parameters_are_an_algorithms(llada: Llada, folder: Path) -> None:
    told = error(llada("check", "fake-engine", "-p", "gen_length=4"), status=2)
    assert "fake-engine is no algorithm, and gen_length is a parameter of one; leave it out" in told
    told = error(llada("check", "opaque", "--model", str(folder), "-p", "no_such=1"), status=2)
    assert "opaque does not take no_such" in told
