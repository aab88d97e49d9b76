"""What ``llada bench`` measures on the small model is what the decoders did."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from llada_core import LoadedModel, load_model
from llada_core.bench import Case, measure, tasks
from tests.support.program import Llada

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = [
    ("basic", {"steps": 32}),
    ("basic", {"threshold": 0.9}),
    ("prefix_cache", {"threshold": 0.9}),
    ("dual_cache", {"threshold": 0.7}),
]


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with load_model(device="cpu") as loaded:
        yield loaded


@pytest.mark.parametrize(("algorithm", "parameters"), SETTINGS)
@pytest.mark.parametrize("rows", [1, 3])
def test_counts_are_those_of_the_answers_themselves(
    lm: LoadedModel, algorithm: str, parameters: dict[str, object], rows: int
) -> None:
    questions = tasks(2, ["lists", "json"])
    case = Case(label="", algorithm=algorithm, parameters={"gen_length": 64, **parameters}, rows=rows)
    sample = measure(lm, case, questions)
    alone = [lm.generate_batch([case.request(each, 0)])[0] for each in questions]
    assert [answer.result.text for answer in sample.answers] == [result.text for result in alone]
    assert sample.row_forwards == sum(result.nfe for result in alone)
    assert sample.tokens == sum(result.completion_tokens for result in alone)
    assert sample.tokens < sample.committed <= 64 * len(questions)
    if rows == 1:
        assert sample.forwards == sample.row_forwards
    else:
        assert sample.row_forwards / rows <= sample.forwards < sample.row_forwards


def test_the_program_measures_accuracy_and_compares(llada: Llada) -> None:
    status, out, err = llada(
        *("bench", "--tasks", "2", "--family", "lists", "--gen-length", "64", "--json"),
        *("--compare", "basic", "dual_cache", "--repeats", "6", "--device", "cpu"),
    )
    assert status == 0, err
    found = json.loads(out)
    basic, dual = found["results"]
    assert basic["figures"]["accuracy"]["median"] == 100
    assert basic["figures"]["committed_per_forward"]["median"] == 1
    assert dual["figures"]["nfe"]["median"] < basic["figures"]["nfe"]["median"] / 3
    assert found["about"]["dtype"] == "float32"
    (comparison,) = found["comparisons"]
    assert {ratio["pairs"] for ratio in comparison["ratios"]} == {6}
