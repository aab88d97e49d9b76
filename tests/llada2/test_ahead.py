"""Where a GPU's steps are launched ahead and chosen there, the answers are the same.

Here on a CPU, in the place of the kernel plain arithmetic.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_runtime import Sequence, drain
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.network import likeliest
from tests.llada2.random_rows import prompt
from tests.support.likeliest import plain_likeliest


def rows(lm: llada_core.LoadedModel, name: str) -> list[Sequence]:
    source, algorithm = random.Random(name), lm.algorithm(name)
    made = []
    for _ in range(6):
        params = algorithm.validate_args(gen_length=24, block_length=8, threshold=source.choice([0.5, 0.9]))
        made.append(algorithm.sequence(lm.model.network, prompt(source), params))
    return made


@pytest.mark.parametrize("name", ["llada2", "llada2_low_confidence", "llada2_dinfer"])
def test_answers_are_those_of_the_plain_way(
    lm: llada_core.LoadedModel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, glancing = rows(lm, name), rows(lm, name)
    for step in drain(lm.model.network, plain, rows=3):
        assert step.error is None
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    used: list[bool] = []
    is_of = Ahead.is_of
    monkeypatch.setattr(Ahead, "is_of", lambda self, turns: used.append(is_of(self, turns)) or used[-1])
    for step in drain(lm.model.network, glancing, rows=3):
        assert step.error is None
    assert [(row.canvas, row.nfe) for row in glancing] == [(row.canvas, row.nfe) for row in plain]
    assert any(used) is (name != "llada2_dinfer")  # whose groups depend on what each forward fills


def test_what_is_edited_is_chosen_in_the_plain_way(
    lm: llada_core.LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    algorithm: Any = lm.algorithm("llada2_edit")
    params = algorithm.validate_args(gen_length=16, block_length=8)
    row = algorithm.sequence(lm.model.network, [20, 21], params)
    assert not glance._takes_the_likeliest(row)
