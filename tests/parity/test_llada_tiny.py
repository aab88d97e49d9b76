"""The embedded model answers its held-out tasks, through whatever engines are installed."""

from __future__ import annotations

import pytest

import llada_core
from llada_tiny.tasks import held_out


@pytest.mark.parametrize("family", ["word_problems", "lists", "json"])
def test_the_embedded_model_answers_what_it_never_saw(family: str) -> None:
    model = llada_core.load_model(device="cpu")
    instances = held_out(family, 12, 7, "seen")
    results = model.generate([list(each.messages) for each in instances], max_tokens=128)
    right = sum(each.accepts(result.text) for each, result in zip(instances, results, strict=True))
    assert right >= 9
