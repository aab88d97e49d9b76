"""``llada parts`` and ``llada parts NAME``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import get_policy_info, get_rule_info
from llada_core.testing import fake_site
from tests.support.program import error

PLUGIN = """
from llada_core import Parameter, PolicySpec, RuleSpec, hookimpl

WIDTH = Parameter(name="width", kind=int, default=4, minimum=1, aliases=("w",), summary="So wide.")

@hookimpl
def llada_rules():
    yield RuleSpec(
        name="wide", target="llada_code:made", summary="Wide.", aliases=("broad",), parameters=(WIDTH,)
    )
    yield RuleSpec(name="far", target="nowhere:made", summary="Far.")

@hookimpl
def llada_policies():
    yield PolicySpec(name="wide", target="llada_code:made", summary="Wide too.")
"""


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[None]:
    with fake_site(tmp_path / "site") as site:
        site.add("llada-mine", plugin=PLUGIN, modules={"llada_code": "made = dict"})
        with site.shared():
            yield


def lines(said: str) -> list[str]:
    return [" ".join(line.split()) for line in said.splitlines()]


def test_they_are_listed_with_what_keeps_one_from_running(parts: None, llada: Any) -> None:
    ran = llada("parts")
    assert (ran.status, ran.err) == (0, "")
    heading, far, wide, policy = lines(ran.out)
    assert heading == "part kind available description"
    assert far.startswith("far rule no the module nowhere of nowhere:made is not found;")
    assert (wide, policy) == ("wide rule yes Wide. (also broad)", "wide policy yes Wide too.")


def test_all_of_one_name_are_told(parts: None, llada: Any) -> None:
    assert lines(llada("parts", "wide").out) == [
        "wide",
        "kind rule",
        "summary Wide.",
        "available yes",
        "also called broad",
        "distribution llada-mine",
        "",
        "width an integer, 1 or more; default 4",
        "also called w",
        "So wide.",
        "",
        "wide",
        "kind policy",
        "summary Wide too.",
        "available yes",
        "distribution llada-mine",
        "It takes no parameters.",
    ]
    assert lines(llada("parts", "broad").out).count("kind policy") == 0


def test_json_is_what_the_facts_say(parts: None, llada: Any) -> None:
    rule, policy = get_rule_info("wide").as_dict(), get_policy_info("wide").as_dict()
    assert json.loads(llada("parts", "wide", "--json").out) == [rule, policy]
    assert json.loads(llada("parts", "--json").out) == [get_rule_info("far").as_dict(), rule, policy]


def test_an_unknown_name_is_refused_with_the_closest(parts: None, llada: Any) -> None:
    assert "did you mean wide?" in error(llada("parts", "wode"), status=2)


@pytest.mark.parametrize("name", ["hierarchy", "vicinity"])
def test_a_rule_or_policy_of_a_wheel_that_is_not_installed_names_it(
    parts: None, llada: Any, name: str
) -> None:
    said = error(llada("parts", name), status=2)
    assert "llada-dinfer brings it and is not installed; pip install llada-dinfer" in said


def test_where_there_are_none_it_says_how_to_get_some(tmp_path: Path, llada: Any) -> None:
    with fake_site(tmp_path / "site") as site, site.shared():
        assert llada("parts").out == (
            "no parts are installed; pip install llada-fastdllm, and see llada plugins\n"
        )
