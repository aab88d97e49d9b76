"""Dual caches that refresh less: what each computes as a block begins, as parameters of ``compose``."""

from __future__ import annotations

from collections.abc import Mapping

from decoder_settings import Setting

__all__ = ["BLOCK", "DUAL", "POLICIES", "composed"]

BLOCK = 32
DUAL = "dual"
"""`dual_cache` itself, which the others are compared with."""

_FROZEN: Mapping[str, object] = {"cache": "frozen"}
_LAST: Mapping[str, object] = {**_FROZEN, "refresh_back": BLOCK, "refresh_ahead": 0}
_PRUNED: Mapping[str, object] = {"horizon": "window", "window_size": 32}
POLICIES: Mapping[str, Mapping[str, object]] = {
    DUAL: {},
    "prompt frozen": _FROZEN,
    "last block": _LAST,
    "block + 32": {**_FROZEN, "refresh_back": 0, "refresh_ahead": 32},
    "block + 64": {**_FROZEN, "refresh_back": 0, "refresh_ahead": 64},
    "last block + 32": {**_LAST, "refresh_ahead": 32},
    "dual, pruned": _PRUNED,
    "prompt frozen, pruned": {**_FROZEN, **_PRUNED},
    "last block, pruned": {**_LAST, **_PRUNED},
    "block + 32, pruned": {**_FROZEN, **_PRUNED, "refresh_back": 0, "refresh_ahead": 32},
    "block + 64, pruned": {**_FROZEN, **_PRUNED, "refresh_back": 0, "refresh_ahead": 64, "window_size": 64},
}
"""By name: the prompt is computed once, and as a block begins all of the answer ("prompt frozen"), the block
and the last one, or the block and so many columns behind it. Where the suffix is pruned, no forward sees more
of it than a window behind the block; columns that the window comes to reach are computed with the others."""


def composed(policy: str, *, threshold: float | None = None, steps: int | None = None) -> Setting:
    """The policy with a threshold, or with a fixed number of ``steps``."""
    if policy == DUAL:
        schedule = {} if steps is None else {"steps": steps}
        return Setting("dual_cache", {"threshold": threshold, **schedule})
    rule = {"threshold": threshold} if steps is None else {"rule": "quota", "steps": steps}
    return Setting("compose", {**POLICIES[policy], **rule})
