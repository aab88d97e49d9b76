"""The golden checkpoints and cases of Dream, loaded once."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_dream import DreamNetwork
from llada_runtime import Sequence, drain

__all__ = [
    "ALGORITHMS",
    "GOLDENS",
    "MODELS",
    "Case",
    "cases",
    "decode",
    "model_of",
    "ours",
    "row_of",
    "rows_of",
]

GOLDENS = Path(__file__).parent / "goldens"
MODELS = sorted(path.name for path in (GOLDENS / "models").iterdir())
ALGORITHMS = ["dream", "dream_threshold", "dream_prefix_cache", "dream_dual_cache"]

Case = dict[str, Any]

_PARAMETERS = {
    name: set(llada_core.get_algorithm(name).get_required_args()) | {"max_new_tokens"} for name in ALGORITHMS
}


@functools.cache
def model_of(name: str, device: str = "cpu") -> DreamNetwork:
    return DreamNetwork.from_pretrained(GOLDENS / "models" / name, device=device, dtype="float32")


def cases(*algorithms: str) -> list[Any]:
    """The cases, or those of the algorithms with these published names."""
    found = json.loads((GOLDENS / "dream.json").read_text())["cases"]
    return [
        pytest.param(case, id=case["id"])
        for case in found
        if not algorithms or case["algorithm"] in algorithms
    ]


def rows_of(case: Case) -> list[list[int]]:
    """The prompts of a case: one row, or several of equal length."""
    return case["prompt"] if isinstance(case["prompt"][0], list) else [case["prompt"]]


def ours(case: Case) -> tuple[Any, dict[str, Any]]:
    """The algorithm of a case, by its published name, and the published parameters that it has.

    Left out are those that upstream is always called with and does not look at there.
    """
    algorithm = llada_core.get_algorithm(case["algorithm"])
    taken = _PARAMETERS[algorithm.name]
    if "block_length" in taken:
        taken = taken - {"threshold" if case["params"]["alg"] == "entropy" else "steps"}
    return algorithm, {name: value for name, value in case["params"].items() if name in taken}


def row_of(
    model: Any, name: str, prompt: list[int], answer: list[int | None] | None = None, **params: Any
) -> Sequence:
    """A row of the algorithm ``name``."""
    algorithm: Any = llada_core.get_algorithm(name)
    return algorithm.sequence(model, prompt, algorithm.validate_args(**params), answer=answer)


def decode(model: Any, *rows: Sequence) -> list[tuple[list[int], int]]:
    """Canvas and forwards of each of the rows, which are decoded together. Raises what a row ends with."""
    for step in drain(model, rows, rows=32):
        if step.error is not None:
            raise step.error
    return [(row.canvas, row.nfe) for row in rows]
