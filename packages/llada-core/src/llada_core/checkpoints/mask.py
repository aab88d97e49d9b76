"""The mask token of a checkpoint: by its config, or by the files of its tokenizer, which are read as JSON.

This module knows neither torch nor transformers: detection asks it, and a network that runs by its own code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

__all__ = ["TOKENIZER_SETTINGS", "mask_token_id"]

TOKENIZER_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
)
"""The files that tell it."""


def mask_token_id(fields: Mapping[str, Any], folder: Path | None) -> int | None:
    """The id of the mask token: ``mask_token_id`` in ``fields`` of the config, or by the tokenizer's files.

    None where neither tells; a ``folder`` of None is not asked.
    """
    told = fields.get("mask_token_id")
    if _is_id(told):
        return told
    if folder is None:
        return None
    files = {name: _read(folder / name) for name in TOKENIZER_SETTINGS}
    token = _mask_token(files)
    return None if token is None else _id_of(token, files)


def _mask_token(files: Mapping[str, Mapping[str, Any]]) -> str | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = files[name].get("mask_token")
        content = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(content, str):
            return content
    return None


def _id_of(token: str, files: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The id of ``token``, by whichever file lists it."""
    decoder = files["tokenizer_config.json"].get("added_tokens_decoder")
    for number, facts in decoder.items() if isinstance(decoder, Mapping) else ():
        if isinstance(facts, Mapping) and facts.get("content") == token and number.isdecimal():
            return int(number)
    added = files["tokenizer.json"].get("added_tokens")
    for facts in added if isinstance(added, list) else ():
        if isinstance(facts, Mapping) and facts.get("content") == token and _is_id(facts.get("id")):
            return int(facts["id"])
    model = files["tokenizer.json"].get("model")
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    for listed in (files["added_tokens.json"], vocabulary):
        if isinstance(listed, Mapping) and _is_id(listed.get(token)):
            return int(listed[token])
    return None


def _is_id(value: object) -> TypeGuard[int]:
    """Whether it is an id; a config class says "none" by a negative one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read(file: Path) -> Mapping[str, Any]:
    """The object in a JSON file; what is malformed says nothing."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
