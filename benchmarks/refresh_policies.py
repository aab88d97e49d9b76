"""Dual caches that refresh less: what each computes as a block begins, as parameters of ``compose``."""

from __future__ import annotations

from collections.abc import Mapping

from decoder_settings import FROZEN, LAST_BLOCK, PRUNED, Setting

__all__ = ["BLOCK", "DUAL", "POLICIES", "composed"]

BLOCK = 32
DUAL = "dual"
"""`dual_cache` itself, which the others are compared with."""

POLICIES: Mapping[str, Mapping[str, object]] = {
    DUAL: {},
    "prompt frozen": FROZEN,
    "last block": LAST_BLOCK,
    "block + 32": {**FROZEN, "refresh_back": 0, "refresh_ahead": 32},
    "block + 64": {**FROZEN, "refresh_back": 0, "refresh_ahead": 64},
    "last block + 32": {**LAST_BLOCK, "refresh_ahead": 32},
    "dual, pruned": PRUNED,
    "prompt frozen, pruned": {**FROZEN, **PRUNED},
    "last block, pruned": {**LAST_BLOCK, **PRUNED},
    "block + 32, pruned": {**FROZEN, **PRUNED, "refresh_back": 0, "refresh_ahead": 32},
    "block + 64, pruned": {**FROZEN, **PRUNED, "refresh_back": 0, "refresh_ahead": 64, "window_size": 64},
    "last block, every 4": {**LAST_BLOCK, "refresh_every": 4},
    "last block, every 2": {**LAST_BLOCK, "refresh_every": 2},
    "last block, every 4, pruned": {**LAST_BLOCK, **PRUNED, "refresh_every": 4},
    "last block, every 2, pruned": {**LAST_BLOCK, **PRUNED, "refresh_every": 2},
}
"""By name: the prompt is computed once, and as a block begins all of the answer ("prompt frozen"), the block
and the last one, or the block and so many columns behind it; "every 4" is the whole canvas again with every
fourth block. Where the suffix is pruned, no forward sees more of it than a window behind the block; columns
that the window comes to reach are computed with the others."""


def composed(policy: str, *, threshold: float | None = None, steps: int | None = None) -> Setting:
    """The policy with a threshold, or with a fixed number of ``steps``."""
    if policy == DUAL:
        schedule = {} if steps is None else {"steps": steps}
        return Setting("dual_cache", {"threshold": threshold, **schedule})
    rule = {"threshold": threshold} if steps is None else {"rule": "quota", "steps": steps}
    return Setting("compose", {**POLICIES[policy], **rule})
