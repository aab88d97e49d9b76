"""The golden checkpoints and cases of LLaDA2, loaded once."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import llada_core
from llada_core import Step
from llada_llada2 import LLaDA2Network
from llada_runtime import Sequence, drain

__all__ = [
    "ALGORITHMS",
    "CASES",
    "GOLDENS",
    "MODELS",
    "Case",
    "expected",
    "golden_model",
    "run",
    "sequence_of",
]

Case = dict[str, Any]

GOLDENS = Path(__file__).parent / "goldens"
MODELS = sorted(path.name for path in (GOLDENS / "models").iterdir())
CASES: list[Case] = json.loads((GOLDENS / "llada2.json").read_text())["cases"]
ALGORITHMS = {
    "llada2_generate": "llada2",
    "llada21_generate": "llada2_edit",
    "sglang_low_confidence": "llada2_low_confidence",
    "sglang_joint_threshold": "llada2_joint_threshold",
    "dinfer_block_diffusion": "llada2_dinfer",
}
"""Ours by the name of upstream's."""


@functools.cache
def golden_model(name: str) -> LLaDA2Network:
    return LLaDA2Network.from_pretrained(GOLDENS / "models" / name, device="cpu", dtype="float32")


def sequence_of(case: Case) -> Sequence:
    """The row of a case, by the alias of its algorithm."""
    algorithm = llada_core.get_algorithm(case["algorithm"])
    assert algorithm.name == ALGORITHMS[case["algorithm"]]
    params = algorithm.validate_args(**case["params"])
    row = algorithm.sequence(golden_model(case["model"]), case["prompt"], params)
    assert isinstance(row, Sequence)
    return row


def run(model: str, *rows: Sequence) -> list[Step]:
    """The steps of ``rows``, decoded together; none of them fails."""
    steps = list(drain(golden_model(model), rows, rows=len(rows)))
    assert not [step.error for step in steps if step.error is not None]
    return steps


def expected(case: Case) -> list[int]:
    """What stands in the answer up to its first end token: what upstream returns, of the length asked for."""
    prompt, params, model = case["prompt"], case["params"], golden_model(case["model"])
    canvas = case["expected"]["canvas"][len(prompt) : len(prompt) + params["gen_length"]]
    return through_end(canvas, model)


def through_end(answer: list[int], model: LLaDA2Network) -> list[int]:
    """The answer up to its first end token, with it."""
    (eos,) = model.config.eos_ids
    return answer[: answer.index(eos) + 1] if eos in answer else answer
