"""What a GPU does otherwise, done here: choices on the device, forwards launched ahead, captured steps."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_runtime import drain
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.network import likeliest
from llada_runtime.network.graphs import Graphed
from tests.sdar.golden_data import golden_model
from tests.sdar.tiny_models import Variant, write_model
from tests.support.graphing import FakeGraphs
from tests.support.likeliest import plain_likeliest

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("sdar", {}),
    ("sdar", {"remasking_strategy": "low_confidence_static"}),
    ("sdar_lmdeploy", {}),
    ("sdar_low_confidence", {"threshold": 0.6}),
]
PROMPTS = ([5, 6, 7], [9] * 11, [30, 31, 32, 33])


def decode(name: str, **params: Any) -> list[Any]:
    algorithm, model = llada_core.get_algorithm(name), golden_model("sdar-64")
    asked = algorithm.validate_args(gen_length=22, block_length=4, **params)
    rows = [algorithm.sequence(model, prompt, asked) for prompt in PROMPTS]
    told = [(step.positions, step.tokens, step.error) for step in drain(model, rows, rows=3)]
    return [told, *[(row.canvas, row.nfe) for row in rows]]


@pytest.mark.parametrize(("name", "params"), SETTINGS)
def test_what_is_chosen_on_the_device_is_what_is_chosen_on_the_host(
    name: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = decode(name, **params)
    launched: list[Ahead] = []
    launch = Ahead.launch
    monkeypatch.setattr(Ahead, "launch", lambda self, *given: launched.append(self) or launch(self, *given))
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    assert decode(name, **params) == expected
    assert launched


@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_captured_steps_decode_the_same(
    tmp_path: Path, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = write_model(tmp_path, variant), {"gen_length": 16, "early_stop": False}
    expected = llada_core.load_model(folder, device="cpu").generate([20, 21, 22, 23], **asked)
    for record in (FakeGraphs(), FakeGraphs(NotImplementedError("none here"))):
        monkeypatch.setattr("llada_runtime.network.graphs.graphed", partial(Graphed, record=record, after=1))
        with llada_core.load_model(folder, device="cpu") as lm, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = lm.generate([20, 21, 22, 23], **asked)
            assert (found.token_ids, found.nfe) == (expected.token_ids, expected.nfe)
            assert (lm.model.network.replays > 0) is (record.failure is None)
