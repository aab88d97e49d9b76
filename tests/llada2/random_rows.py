"""Random requests of all algorithms of the engine."""

from __future__ import annotations

import random
from typing import Any

from llada_core import GenerationRequest

__all__ = ["NAMES", "prompt", "request"]

NAMES = ["llada2", "llada2_dinfer", "llada2_edit", "llada2_joint_threshold", "llada2_low_confidence"]


def prompt(source: random.Random, most: int = 30) -> list[int]:
    """Ids that are neither special nor the mask."""
    return [source.randrange(14, 100) for _ in range(source.randint(1, most))]


def request(source: random.Random, name: str | None = None, *, most: int = 20) -> GenerationRequest:
    """One of any algorithm, for ``most`` tokens or fewer."""
    chosen = name or source.choice(NAMES)
    given: dict[str, Any] = {
        "gen_length": source.randint(1, most),
        "block_length": source.choice([1, 3, 4, 8, 16]),
        "threshold": source.choice([0.3, 0.6, 0.9]),
        "early_stop": source.random() < 0.7,
        **_of(chosen, source),
    }
    if chosen in ("llada2", "llada2_edit", "llada2_dinfer") and source.random() < 0.3:
        given |= {"temperature": source.choice([0.5, 1.5]), "seed": source.randint(0, 99)}
        given |= {"top_k": source.choice([None, 3]), "top_p": source.choice([None, 0.7])}
    return GenerationRequest(prompt=prompt(source), algorithm=chosen, parameters=given)


def _of(name: str, source: random.Random) -> dict[str, Any]:
    """What this algorithm takes besides."""
    editing, post = source.choice([0.0, 0.3, 0.8]), source.choice([0, 1, 3])
    if name == "llada2":
        stops = source.random() < 0.4
        return {
            "steps": source.choice([1, 2, 5, 32]),
            **({"eos_early_stop": True, "early_stop": True} if stops else {}),
        }
    if name == "llada2_edit":
        least = source.choice([1, 2])
        return {"editing_threshold": editing, "max_post_steps": post, "num_to_transfer": least}
    if name == "llada2_joint_threshold":
        return {
            "edit_threshold": editing,
            "max_post_edit_steps": post,
            "penalty_lambda": source.choice([0, 2.0]),
        }
    if name == "llada2_dinfer":
        return {"maximum_unroll": source.choice([1, 4]), "expected_tpf": source.choice([1, 8])}
    return {}
