"""Server-sent events, as clients of OpenAI's API read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["DONE", "event"]

DONE = b"data: [DONE]\n\n"


def event(data: BaseModel | Mapping[str, Any]) -> bytes:
    """One event. What is None is sent, as null: clients tell an absent ``usage`` from a later one."""
    if isinstance(data, BaseModel):
        told = data.model_dump_json()
    else:
        told = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"data: {told}\n\n".encode()
