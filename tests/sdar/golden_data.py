"""The golden checkpoints and cases, loaded once."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from llada_sdar import SDARNetwork

GOLDENS = Path(__file__).parent / "goldens"
MODELS = sorted(path.name for path in (GOLDENS / "models").iterdir())
_ALGORITHMS = {
    "sdar_generate": "sdar",
    "lmdeploy": "sdar_lmdeploy",
    "sglang_low_confidence": "sdar_low_confidence",
}


@functools.cache
def golden_model(name: str) -> SDARNetwork:
    return SDARNetwork.from_pretrained(GOLDENS / "models" / name, device="cpu", dtype="float32")


def golden_cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((GOLDENS / "sdar.json").read_text())["cases"]
    return cases


def setting(case: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The algorithm of a case, and its parameters in our words: theirs take the likeliest token always.

    Left out are those that upstream is called with and its strategy does not look at.
    """
    params = dict(case["params"])
    name = _ALGORITHMS[case["algorithm"]]
    if name == "sdar":
        params["early_stop"] = params.pop("stop_at_eos")
        params["do_sample"] = False
    return name, {key: value for key, value in params.items() if key not in _unread(name, params)}


def _unread(name: str, params: dict[str, Any]) -> set[str]:
    dynamic = "low_confidence_dynamic" in params.values()
    if name == "sdar_low_confidence" or (dynamic and name == "sdar"):
        return set()
    return {"denoising_steps"} if dynamic else {"confidence_threshold"}
