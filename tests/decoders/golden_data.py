"""The recorded cases of the published decoders, and how a case is run and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_runtime import Sequence, drain
from tests.parity.parity_data import golden_model, rows_of

__all__ = [
    "Case",
    "check_published",
    "check_stopped",
    "check_up_to_its_end",
    "decode",
    "each_case",
    "each_that_stops",
    "golden_cases",
]

Case = dict[str, Any]

GOLDENS = Path(__file__).parent / "goldens"


def golden_cases(file: str, *algorithms: str) -> list[Case]:
    """The cases of a file; of upstream's ``algorithms`` only, where some are named."""
    cases: list[Case] = json.loads((GOLDENS / f"{file}.json").read_text())["cases"]
    return [case for case in cases if not algorithms or case["algorithm"] in algorithms]


def each_case(file: str, *algorithms: str) -> pytest.MarkDecorator:
    """Runs a test with each case of a file as its ``case``."""
    return _each(golden_cases(file, *algorithms))


def each_that_stops(file: str) -> pytest.MarkDecorator:
    """Runs a test with each case of a file in whose answer an end token comes to stand."""
    return _each([case for case in golden_cases(file) if "stop_at_eos" in case])


def _each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in cases])


def decode(case: Case, algorithm: str, params: Mapping[str, Any]) -> list[Sequence]:
    """The rows of a case, decoded together by one of our algorithms; none of them fails."""
    decoder, model = llada_core.get_algorithm(algorithm), golden_model(case["model"])
    effective = decoder.validate_args(**params)
    rows = [decoder.sequence(model, row, effective) for row in rows_of(case)]
    steps = list(drain(model, rows, rows=len(rows)))
    assert not [step.error for step in steps if step.error is not None]
    return rows


def check_published(case: Case, algorithm: str, params: Mapping[str, Any]) -> None:
    """Everything is decoded, as upstream does: its tokens, in as many forwards."""
    rows = decode(case, algorithm, {**params, "early_stop": False})
    assert [row.canvas for row in rows] == case["expected"]["sequences"]
    assert {row.nfe for row in rows} == {case["expected"]["nfe"]}


def check_stopped(case: Case, algorithm: str, params: Mapping[str, Any]) -> None:
    """The row ends at its end token, of which the case tells.

    Not for decoders whose tokens may change or move later, of which no case tells.
    """
    (row,) = decode(case, algorithm, {**params, "early_stop": True})
    stop = case["stop_at_eos"]
    answer, end = row.canvas[row.prompt_length :], len(stop["answer"])
    assert answer[:end] == stop["answer"]
    assert set(answer[end:]) <= {stop["answer"][-1]}
    assert row.nfe == stop["nfe"]


def check_up_to_its_end(case: Case, row: Sequence) -> None:
    """The answer is the published one up to its end token, and nothing but that behind it."""
    (published,) = (each[row.prompt_length :] for each in case["expected"]["sequences"])
    answer = row.canvas[row.prompt_length :]
    end = next((at for at, token in enumerate(published) if token in row.end_ids), len(published))
    assert answer[: end + 1] == published[: end + 1]
    assert set(answer[end:]) == set(published[end : end + 1])
