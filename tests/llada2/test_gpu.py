"""On a GPU, where steps are graphs: recorded cases, rows alone and together, steps that are launched."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import llada_core
from tests.llada2.golden_data import ALGORITHMS, CASES, GOLDENS, MODELS, expected
from tests.llada2.random_rows import NAMES, request
from tests.llada2.tiny_models import write_model

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("model", MODELS)
def test_the_recorded_cases_are_upstreams(model: str) -> None:
    with llada_core.load_model(GOLDENS / "models" / model, device="cuda", dtype="float32") as lm:
        ends = lm.model.end_ids
        for case in [case for case in CASES if case["model"] == model]:
            name = ALGORITHMS[case["algorithm"]]
            result = lm.generate(case["prompt"], algorithm=name, **case["params"])
            before_end = [token for token in expected(case) if token not in ends]
            assert list(result.token_ids) == before_end, case["id"]
            assert result.nfe == case["expected"]["nfe"], case["id"]


def test_a_ragged_batch_is_its_rows_alone(tmp_path: Path) -> None:
    source = random.Random("gpu")
    requests = [request(source, NAMES[index % len(NAMES)]) for index in range(20)]
    with llada_core.load_model(write_model(tmp_path, seed=2), device="cuda", dtype="float32") as lm:
        together = lm.generate_batch(requests)
        alone = [lm.generate_batch([each])[0] for each in requests]
    assert [(r.token_ids, r.nfe) for r in together] == [(r.token_ids, r.nfe) for r in alone]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_steps_as_graphs_decode_as_steps_that_are_launched(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = write_model(tmp_path, seed=2), []
    for graphs in ("1", "0"):
        monkeypatch.setenv("LLADA_GRAPHS", graphs)
        with llada_core.load_model(folder, device="cuda", dtype=dtype) as lm:
            source = random.Random("graphs")
            made = [lm.generate_batch([request(source, name)])[0] for name in NAMES for _ in range(3)]
        found.append([(result.token_ids, result.nfe) for result in made])
    assert found[0] == found[1]
