"""What of our parameters a published function has no counterpart of: refused, and not left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core import UsageError

__all__ = ["check_neutral", "check_whole_blocks"]

_DRAWN = "what is drawn at random differs from code to code"


def check_neutral(owner: str, parameters: Mapping[str, Any], neutral: Mapping[str, Any]) -> None:
    """Refuse effective ``parameters`` that are not at the one value that ``owner`` implements."""
    for name, value in neutral.items():
        given = parameters.get(name, value)
        if given != value:
            reason = f": {_DRAWN}" if name in ("temperature", "remasking") else ""
            raise UsageError(f"{name}={given} cannot be compared with {owner}{reason}; give {name}={value}")


def check_whole_blocks(owner: str, parameters: Mapping[str, Any]) -> None:
    """Refuse an answer whose last block would be short, which ``owner`` does not decode."""
    length, width = parameters["gen_length"], parameters["block_length"]
    if length % width:
        raise UsageError(
            f"{owner} decodes whole blocks, and gen_length={length} is no multiple of block_length={width}; "
            f"give --gen-length {-(-length // width) * width}, or another -p block_length"
        )
