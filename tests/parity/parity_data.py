"""The golden checkpoints and cases, loaded once."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.checkpoints import read_fields
from llada_runtime.models.register import network_class

GOLDENS = Path(__file__).parent / "goldens"
MODELS = sorted(path.name for path in (GOLDENS / "models").iterdir())
MOE_GOLDENS = GOLDENS / "lladamoe"
MOE_MODEL = "lladamoe-48"


@functools.cache
def golden_model(name: str, device: str = "cpu") -> Any:
    folder = (MOE_GOLDENS if name == MOE_MODEL else GOLDENS) / "models" / name
    return network_class(read_fields(folder)).from_pretrained(folder, device=device, dtype="float32")


def golden_cases(family: str, goldens: Path = GOLDENS) -> list[Any]:
    cases = json.loads((goldens / f"{family}.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases]


def rows_of(case: dict[str, Any]) -> list[list[int]]:
    """The prompts of a case: one row, or several of equal length."""
    return case["prompt"] if isinstance(case["prompt"][0], list) else [case["prompt"]]


def needs_engine(name: str) -> pytest.MarkDecorator:
    """Skips, saying so, where the engine's wheel is not installed: each engine is tested alone, too."""
    missing = name not in llada_core.list_engines()
    return pytest.mark.skipif(missing, reason=f"the engine {name} is not installed")
