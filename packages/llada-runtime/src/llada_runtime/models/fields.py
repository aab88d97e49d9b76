"""Fields of a ``config.json``, checked one by one: what the configs of all networks here are read with.

Each raises CheckpointError, which names the field and its value, where that is not what it has to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core.errors import CheckpointError

__all__ = ["eos_of", "integer", "positive", "switch", "token"]


def _field(data: Mapping[str, Any], name: str) -> Any:
    if data.get(name) is None:
        raise CheckpointError(
            f"config.json: {name} is missing; take the config.json that was published with the weights"
        )
    return data[name]


def integer(data: Mapping[str, Any], name: str) -> int:
    """A positive integer."""
    value = _field(data, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"config.json: {name} = {value!r} is not a positive integer; correct the file")
    return value


def positive(data: Mapping[str, Any], name: str) -> float:
    """A positive number."""
    value = _field(data, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise CheckpointError(f"config.json: {name} = {value!r} is not a positive number; correct the file")
    return float(value)


def token(data: Mapping[str, Any], name: str) -> int:
    """The id of a token."""
    value = _field(data, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CheckpointError(f"config.json: {name} = {value!r} is not a token id; correct the file")
    return value


def eos_of(data: Mapping[str, Any]) -> int | tuple[int, ...] | None:
    """``eos_token_id``: one or several, None where the file leaves it to others of the checkpoint."""
    value = data.get("eos_token_id")
    if isinstance(value, list):
        return tuple(token({"eos_token_id": item}, "eos_token_id") for item in value)
    return None if value is None else token(data, "eos_token_id")


def switch(data: Mapping[str, Any], name: str) -> bool:
    """True or false; false where it is missing."""
    value = data.get(name)
    if value is not None and not isinstance(value, bool):
        raise CheckpointError(f"config.json: {name} = {value!r} is not true or false; correct the file")
    return bool(value)
