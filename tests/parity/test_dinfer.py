"""dInfer's decoders against canvases and forward counts recorded from the upstream implementation."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
from llada_core import Step
from llada_runtime import Sequence, drain
from tests.parity.parity_data import golden_cases, golden_model, needs_engine, rows_of

pytestmark = [needs_engine("dinfer"), pytest.mark.alone]

Case = dict[str, Any]
MEANINGFUL_NONE = ("cache", "threshold")  # elsewhere null says that the upstream class has no such parameter


def decode(case: Case, model: Any) -> tuple[list[Sequence], list[Step]]:
    """The sequences and steps of a case. ``loop`` only names the upstream class that was run."""
    given = {
        name: value
        for name, value in case["params"].items()
        if name != "loop" and (value is not None or name in MEANINGFUL_NONE)
    }
    algorithm = llada_core.get_algorithm(case["algorithm"])
    params = algorithm.validate_args(**given)
    sequences = [algorithm.sequence(model, row, params) for row in rows_of(case)]
    return sequences, list(drain(model, sequences, rows=32))


@pytest.mark.parametrize("case", golden_cases("dinfer"))
def test_canvas_and_forwards_equal_upstream(case: Case) -> None:
    sequences, steps = decode(case, golden_model(case["model"]))
    assert [sequence.canvas for sequence in sequences] == case["expected"]["canvas"]
    if len(sequences) == 1:
        assert sequences[0].nfe == case["expected"]["nfe"]
        assert [len(step.tokens) for step in steps] == [committed for *_, committed in case["trace"]]


@pytest.mark.gpu
@pytest.mark.parametrize("case", golden_cases("dinfer"))
def test_canvas_equals_upstream_on_a_gpu(case: Case) -> None:
    sequences, _ = decode(case, golden_model(case["model"], "cuda"))
    assert [sequence.canvas for sequence in sequences] == case["expected"]["canvas"]
