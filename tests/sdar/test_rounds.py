"""A loaded model with the weights of another round of training answers as that one freshly loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import llada_core
from llada_core import LoadedModel
from tests.sdar.tiny_models import Variant, write_model

ASKED: dict[str, Any] = {"gen_length": 16, "algorithm": "sdar", "temperature": 0.7, "seed": 2}


def answers(lm: LoadedModel) -> list[Any]:
    return [(each.token_ids, each.nfe) for each in lm.generate([[3, 4, 5], [6, 7]], **ASKED)]


@pytest.mark.parametrize(("variant", "tied"), [("dense", False), ("dense", True), ("moe", False)])
def test_answers_are_those_of_the_model_freshly_loaded(tmp_path: Path, variant: Variant, tied: bool) -> None:
    changes = {"tie_word_embeddings": tied}
    before, after = (
        write_model(tmp_path / str(seed), variant, seed=seed, tokenizer=False, **changes) for seed in (0, 1)
    )
    with llada_core.load_model(before, device="cpu") as lm:
        first = answers(lm)
        lm.load_weights(load_file(after / "model.safetensors"))
        found = answers(lm)
    with llada_core.load_model(after, device="cpu") as fresh:
        assert answers(fresh) == found != first
