"""How many random cases a slow test takes."""

from __future__ import annotations

import os

__all__ = ["cases"]


def cases(count: int) -> int:
    """All ``count`` of them where ``LLADA_TEST_CASES=all`` asks for it, as ``nox -s thorough`` does; else a
    fifth, which every change pays for."""
    asked = os.environ.get("LLADA_TEST_CASES", "few")
    if asked not in ("all", "few"):
        raise ValueError(f"LLADA_TEST_CASES is {asked!r}; give all or few")
    return count if asked == "all" else count // 5
