"""The five decoders against tokens, forwards and traces recorded from upstream's code."""

from __future__ import annotations

from collections import Counter

import pytest

from llada_core import Step
from llada_runtime import Sequence
from llada_runtime.reference import follow
from tests.llada2.golden_data import (
    ALGORITHMS,
    CASES,
    MODELS,
    Case,
    expected,
    golden_model,
    run,
    sequence_of,
    through_end,
)

pytestmark = pytest.mark.alone

each_case = pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])


def check(case: Case, row: Sequence, steps: list[Step]) -> None:
    """The row is the case's: its answer, its number of forwards, and what each of these wrote."""
    answer = row.canvas[len(case["prompt"]) :]
    assert len(answer) == case["params"]["gen_length"]
    assert through_end(answer, golden_model(case["model"])) == expected(case)
    assert row.nfe == case["expected"]["nfe"]
    for step, (_, start, width, committed, *edited) in zip(steps, case["trace"], strict=True):
        hidden = max(start + width - row.prompt_length - row.gen_length, 0)
        told = len(step.positions) - len(step.revoked)
        assert committed - hidden <= told <= committed  # what is behind the answer is not told
        assert sum(edited) - hidden <= len(step.revoked) <= sum(edited)


@pytest.mark.parametrize("model", MODELS)
def test_all_cases_of_a_model_together_are_upstreams(model: str) -> None:
    """Rows of all five algorithms share their forwards, and none is another than alone."""
    cases = [case for case in CASES if case["model"] == model]
    rows = [sequence_of(case) for case in cases]
    steps = run(model, *rows)
    for case, row in zip(cases, rows, strict=True):
        check(case, row, [step for step in steps if step.ticket is row.ticket])


@pytest.mark.slow
@pytest.mark.timeout(120)
@each_case
def test_the_reference_decodes_each_case_too(case: Case) -> None:
    """By a forward that is written out, without packed rows and merged calls."""
    row = sequence_of(case)
    canvas, nfe = follow(golden_model(case["model"]), row)
    assert through_end(canvas[len(case["prompt"]) :], golden_model(case["model"])) == expected(case)
    assert nfe == case["expected"]["nfe"]


def test_what_upstream_returns_is_the_answer_of_the_canvas() -> None:
    """But dInfer's, in which no end token is left, and one of 2.0 that ends behind ``gen_length``."""
    longer = []
    for case in CASES:
        returned, answer = case["expected"]["output_ids"], expected(case)
        (eos,) = golden_model(case["model"]).config.eos_ids
        if ALGORITHMS[case["algorithm"]] == "llada2_dinfer":
            kept = [token for token in case["prompt"] + answer if token != eos]
            assert returned[: len(kept)] == kept
        elif returned != answer:
            longer.append(case["id"])
            assert returned[: case["params"]["gen_length"]] == answer
    assert longer == ["l2-pub-020-llada2_generate"]


def test_the_cases_are_worth_comparing() -> None:
    held = Counter(tag for case in CASES for tag in case["covers"])
    assert len(CASES) == 67
    assert held["edits"] >= 20
    assert held["edits_while_masks_left"] >= 10
    assert held["post_budget_spent"] >= 10
    assert held["eos_inside_block"] >= 4
    assert {case["algorithm"] for case in CASES} == ALGORITHMS.keys()
