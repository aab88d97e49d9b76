"""``top_p``, ``top_k`` and ``min_p`` on the command line, on the small trained model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.program import Llada, error, llada

__all__ = ["llada"]  # the fixture

STORY = ("generate", "Tom has 3 apples and buys 4 more.", "--engine", "fast-dllm", "--device", "cpu")
HOT = ("-p", "temperature=3", "--seed", "3", "--max-tokens", "16", "--json")


def told(llada: Llada, *arguments: str) -> Any:
    ran = llada(*STORY, *HOT, *arguments)
    assert ran.status == 0
    return json.loads(ran.out)


@pytest.mark.parametrize("algorithm", [pytest.param("basic", marks=pytest.mark.slow), "dual_cache"])
def test_the_filters_are_parameters_as_any_other(llada: Llada, algorithm: str) -> None:
    plain = told(llada, "--algorithm", algorithm)
    narrow = told(llada, "--algorithm", algorithm, "-p", "top_p=0.5", "-p", "top_k=20", "-p", "min_p=0.05")
    given = {name: narrow["parameters"][name] for name in ("top_p", "top_k", "min_p")}
    assert given == {"top_p": 0.5, "top_k": 20, "min_p": 0.05}
    assert narrow["text"] != plain["text"]
    off = told(llada, "--algorithm", algorithm, "-p", "top_p=1", "-p", "top_k=-1", "-p", "min_p=none")
    assert off["text"] == plain["text"]


@pytest.mark.parametrize(
    ("assignment", "range_"),
    [
        ("top_p=0", "give a number above 0 to 1, or none"),
        ("top_k=-3", "give an integer, -1 or more, or none"),
        ("min_p=1.1", "give a number from 0 to 1, or none"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_range(llada: Llada, assignment: str, range_: str) -> None:
    line = error(llada(*STORY, "-p", assignment), status=2)
    assert f"{assignment} is out of range; {range_}" in line


def test_the_details_of_an_algorithm_show_them(llada: Llada) -> None:
    status, out, _ = llada("algorithms", "dual_cache")
    assert status == 0
    for name in ("top_p", "top_k", "min_p"):
        assert name in out
