"""Hooks of schemathesis: half of what it makes up reaches the model, instead of being refused at the door.

The document allows any further field, as parameters of algorithms are such, and any name of a model; nearly
every made-up request is wrong in one of them. And integers of any size are put where numbers are: those that
are made up are mostly small. Named in ``SCHEMATHESIS_HOOKS`` by ``nox --session fuzz``.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import schemathesis

__all__ = ["map_body"]

NAMED = {
    "generation_algorithm", "max_tokens", "messages", "prompt", "candidates", "template", "stop", "n", "seed",
    "stream", "stream_options", "echo", "suffix", "logprobs", "tokens", "temperature", "threshold", "user",
}  # fmt: skip
NUMBERS = ("max_tokens", "n", "seed", "logprobs", "top_logprobs", "steps", "block_length", "top_k")
SIZES = [0, -1, 2**31, 10**9, 2**63, 2**64, 10**20, -(10**20), 10**400]
ALGORITHMS = [None, "basic", "dual_cache", "prefix_cache", "dinfer_hierarchy", "nothing"]


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """The body without fields that nobody knows and with a small answer, in every second case; in every
    fourth one a number, or a blank, of any size."""
    if not isinstance(body, dict):
        return body
    number = zlib.crc32(json.dumps(body, sort_keys=True, default=str).encode())
    if number % 4 == 1:
        return _sized(body, number // 4)
    if number % 2:
        return body
    kept = {name: value for name, value in body.items() if name in NAMED}
    if "candidates" in kept or "tokens" in kept or not kept.keys() & {"messages", "prompt", "template"}:
        return kept
    algorithm = ALGORITHMS[number // 2 % len(ALGORITHMS)]
    kept |= {"generation_algorithm": algorithm, "n": number // 16 % 3 + 1, "stream": number // 64 % 2 == 0}
    if not kept["stream"]:
        kept.pop("stream_options", None)
    if "template" not in kept:
        kept["max_tokens"] = number // 128 % 32 + 1
    return kept


def _sized(body: dict[str, Any], number: int) -> dict[str, Any]:
    """The body with one number of any size among its known fields."""
    size, kept = SIZES[number % len(SIZES)], {name: value for name, value in body.items() if name in NAMED}
    if "template" in kept:
        return {**kept, "template": ["a", {"max_tokens": size}] if number % 2 else f"a {{{{{size}}}}}"}
    if "tokens" in kept:
        return {**kept, "tokens": [size]}
    return {**kept, NUMBERS[number // len(SIZES) % len(NUMBERS)]: size}
