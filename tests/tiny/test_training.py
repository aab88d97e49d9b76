"""The rows and schedules of the training program, which a plan says.

It runs in a process of its own, as its modules have plain names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRAINING = ROOT / "packages" / "llada-tiny" / "training"
LOOK = """
import json, sys
from itertools import islice
from data import batches
from plans import PLANS
from llada_tiny import model_path
plan = PLANS[sys.argv[1]](False)
made = batches(plan.source(), model_path() / "tokenizer.json", tokens_per_batch=4096, workers=0, seed=5)
rows = [
    {"edge": len(row), "cut": batch.cut, "prompt": int(prompt), "row": row.tolist(), "answer": int(answer)}
    for batch in islice(made, 60)
    for row, prompt, answer in zip(batch.tokens, batch.prompt, batch.answer)
]
rates = [
    [leg.peak, *(leg.rate(1000, leg.progress(step, step)) for step in (1, leg.steps or leg.seconds))]
    for leg in plan.legs
]
print(json.dumps({"rows": rows, "rates": rates, "edges": plan.edges, "least": plan.min_window}))
"""
EOS, END_OF_TURN = 1, 5


@pytest.fixture(scope="module", params=["tiny", "long"])
def plan(request: pytest.FixtureRequest) -> dict[str, Any]:
    command = [sys.executable, "-c", LOOK, request.param]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TRAINING), *filter(None, sys.path)))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return {"name": request.param, **found}


def test_a_whole_answer_ends_with_its_marker_and_padding_to_the_end(plan: dict[str, Any]) -> None:
    whole = [each for each in plan["rows"] if not each["cut"]]
    assert len(whole) > 100
    for each in whole:
        end = each["prompt"] + each["answer"]
        assert each["row"][end - 1] == END_OF_TURN
        assert set(each["row"][end:]) == {EOS}


def test_a_cut_answer_does_not_look_finished(plan: dict[str, Any]) -> None:
    cut = [each for each in plan["rows"] if each["cut"]]
    assert bool(cut) == (plan["name"] == "long")
    for each in cut:
        assert each["prompt"] + each["answer"] == each["edge"]
        assert not {EOS, END_OF_TURN} & set(each["row"][each["prompt"] :])


def test_rows_have_the_lengths_and_the_room_of_the_plan(plan: dict[str, Any]) -> None:
    for each in plan["rows"]:
        assert each["edge"] in plan["edges"]
        assert each["edge"] - each["prompt"] >= plan["least"]


def test_every_leg_begins_at_its_peak_and_ends_at_nothing(plan: dict[str, Any]) -> None:
    for peak, first, last in plan["rates"]:
        assert (first, last) == (peak, pytest.approx(0, abs=1e-9))
