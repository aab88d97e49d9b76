"""Fields of a ``config.json``, checked one by one: what the config of every network is read with.

A config reads its own fields with these; `variants` says what a network does not implement. A field that
is null is one that is left out. Every error names the field, what it holds and what to do about it:
CheckpointError where that cannot be, UnsupportedArchitecture where another network could run it. Nothing is
converted: true is no integer, "2" is no number, and neither is NaN nor infinity. This module does not know
torch.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.mask import mask_token_id
from llada_core.errors import CheckpointError, UnsupportedArchitecture

__all__ = [
    "Heads",
    "RotaryFields",
    "boolean",
    "end_ids",
    "first_given",
    "heads",
    "integer",
    "mask",
    "missing",
    "number",
    "rotary",
    "token",
    "unsupported",
    "with_mask",
    "wrong",
]

_REMEDY = "take the config.json that was published with the weights"
_OTHER_CODE = "this checkpoint needs its own model code"
_INSTEAD = {
    "quantization_config": "take the checkpoint that was not quantised; loading can put it in eight bits"
}
"""By field, what to do about a network that is not there; else it is the checkpoint's own code."""


def wrong(name: str, value: object, expected: str) -> CheckpointError:
    """The error to raise where a field holds a value that is not ``expected`` ("a multiple of 8")."""
    return CheckpointError(f"config.json: {name} = {reprlib.repr(value)} is not {expected}; {_REMEDY}")


def missing(name: str) -> CheckpointError:
    """The error to raise where a field is left out that the network needs."""
    return CheckpointError(f"config.json: {name} is missing; {_REMEDY}")


def unsupported(name: str, value: object, *implemented: object) -> UnsupportedArchitecture:
    """The error to raise where a field asks for another network than the one that is there.

    ``implemented`` are the values that this one has; none where the field has to be left out.
    """
    listed = " or ".join(map(repr, implemented)) or "null"
    return UnsupportedArchitecture(
        f"config.json: {name} = {reprlib.repr(value)} is not implemented (only {listed} is); "
        f"{_INSTEAD.get(name.rpartition('.')[2], _OTHER_CODE)}"
    )


def integer(data: Mapping[str, Any], name: str, *, default: int | None = None, least: int = 1) -> int:
    """An integer of ``least`` or more; ``default`` where it is left out. Raises CheckpointError."""
    value = _value(data, name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(name, value, "a positive integer" if least == 1 else f"an integer, {least} or more")
    return value


def number(
    data: Mapping[str, Any], name: str, *, default: float | None = None, or_zero: bool = False
) -> float:
    """A finite number above 0, or 0 too; ``default`` where it is left out. Raises CheckpointError."""
    value = _value(data, name, default)
    try:
        found = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else nan
    except OverflowError:
        found = inf
    if not isfinite(found) or found < 0 or (found == 0 and not or_zero):
        raise wrong(name, value, "a finite number, 0 or more" if or_zero else "a finite number above 0")
    return found


def boolean(data: Mapping[str, Any], name: str, *, default: bool | None = None) -> bool:
    """True or false; ``default`` where it is left out. Raises CheckpointError."""
    value = _value(data, name, default)
    if not isinstance(value, bool):
        raise wrong(name, value, "true or false")
    return value


def token(data: Mapping[str, Any], name: str, vocabulary: int) -> int:
    """The id of a token, from 0 to below ``vocabulary``. Raises CheckpointError."""
    return _id(_value(data, name, None), name, vocabulary)


def mask(data: Mapping[str, Any], vocabulary: int) -> int | None:
    """The id in ``mask_token_id``; None where the fields, without the folder that they come from (see
    `with_mask`), do not tell. Raises CheckpointError."""
    return None if data.get("mask_token_id") is None else token(data, "mask_token_id", vocabulary)


def end_ids(data: Mapping[str, Any], vocabulary: int) -> tuple[int, ...]:
    """The ids in ``eos_token_id``, which holds one or a list, as a network's config tells them.

    None where the file leaves it to the other files of a checkpoint. Raises CheckpointError.
    """
    value = data.get("eos_token_id")
    listed = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    found = tuple(_id(each, "eos_token_id", vocabulary) for each in listed)
    if data.get("mask_token_id") in found:  # an answer could never end
        raise wrong("eos_token_id", value, "another token than mask_token_id")
    return found


def with_mask(
    data: Mapping[str, Any], folder: str | Path, *, published: int | None = None, assume: bool = False
) -> dict[str, Any]:
    """The fields in ``folder/config.json``, with ``mask_token_id`` where they leave it out.

    Asked are, in this order, ``generation_config.json`` and the files of the tokenizer. What a file says is
    taken as it is, for `token` to check.

    Args:
        data: the fields.
        folder: the checkpoint.
        published: the id that the published models of the family have, if it is one.
        assume: take that where no file tells, as the published code does.

    Raises:
        CheckpointError: no file tells, or one cannot be read.
    """
    place = Path(folder)
    told = data.get("mask_token_id")
    if told is None and (place / "generation_config.json").is_file():
        told = read_fields(place, "generation_config.json").get("mask_token_id")
    if told is None:
        told = mask_token_id({}, place)
    if told is None and assume:
        told = published
    if told is None:
        known = "" if published is None else f" (published models of this family have {published})"
        raise CheckpointError(
            "config.json: mask_token_id is missing, and no other file of the checkpoint tells it; add the "
            f"id of the mask token to config.json{known}"
        )
    return {**data, "mask_token_id": told}


@dataclass(frozen=True, slots=True)
class Heads:
    """The numbers of the attention: ``width`` channels of the residual stream, ``count`` heads of queries,
    ``kv_count`` of keys and values, and ``dim`` channels in each."""

    width: int
    count: int
    kv_count: int
    dim: int


def heads(data: Mapping[str, Any]) -> Heads:
    """The attention's numbers, by the names that transformers has for them.

    They are ``hidden_size``, ``num_attention_heads``, ``num_key_value_heads`` (else as many) and ``head_dim``
    (else an equal part of the width, and even). Raises CheckpointError, also where they cannot go together.
    """
    width, count = integer(data, "hidden_size"), integer(data, "num_attention_heads")
    if data.get("head_dim") is None and width % (2 * count):
        raise wrong("hidden_size", width, f"an even number of channels for each of {count} heads")
    kv_count = integer(data, "num_key_value_heads", default=count)
    dim = integer(data, "head_dim", default=width // count)
    if count % kv_count:
        raise wrong("num_key_value_heads", kv_count, f"a divisor of {count} heads")
    if dim % 2:
        raise wrong("head_dim", dim, "even")
    return Heads(width, count, kv_count, dim)


@dataclass(frozen=True, slots=True)
class RotaryFields:
    """The rotary embedding: its base, its kind, the part of a head's channels that turn, and all settings."""

    theta: float
    kind: str
    part: float
    settings: Mapping[str, Any]


_PLAIN = ("rope_theta", "partial_rotary_factor")  # settings that every kind has


def rotary(
    data: Mapping[str, Any], *, kinds: tuple[str, ...] = ("default",), parts: bool = False
) -> RotaryFields:
    """The rotary embedding, in the spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5
    (``rope_parameters``, which goes first).

    Args:
        data: the fields.
        kinds: those that the network implements; a plain embedding is "default".
        parts: the network can turn a part of the channels (``partial_rotary_factor``); else all.

    Raises:
        CheckpointError: a field is malformed, the base is missing or not above 1, or there are settings of a
            kind that is not named.
        UnsupportedArchitecture: another kind, or a part.
    """
    settings: dict[str, Any] = {name: data.get(name) for name in _PLAIN}
    settings |= {**_settings(data, "rope_scaling"), **_settings(data, "rope_parameters")}
    named = {name: settings[name] for name in ("rope_type", "type") if name in settings}
    scaled = sorted(settings.keys() - named.keys() - set(_PLAIN))
    if scaled and not named:
        raise _nameless(data, scaled[0])
    for name, kind in named.items():
        if kind not in kinds:
            raise unsupported(f"{_field_with(data, name)}.{name}", kind, *kinds)
    part = number(settings, "partial_rotary_factor", default=1.0)
    if part != 1 and not parts:
        raise unsupported("partial_rotary_factor", part, 1.0)
    theta = number(settings, "rope_theta")
    if theta <= 1:
        raise wrong("rope_theta", theta, "a number above 1")
    return RotaryFields(theta, next(iter(named.values()), "default"), part, settings)


def first_given(data: Mapping[str, Any], *names: str) -> str:
    """The first of ``names`` that is not left out, where models call a field differently.

    Raises CheckpointError where all are left out.
    """
    found = next((name for name in names if data.get(name) is not None), None)
    if found is None:
        raise CheckpointError(
            f"config.json: {' or '.join(names)} is missing, and decoding needs it; add it to the file"
        )
    return found


def _value(data: Mapping[str, Any], name: str, default: object) -> Any:
    value = default if data.get(name) is None else data[name]
    if value is None:
        raise missing(name)
    return value


def _id(value: object, name: str, vocabulary: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < vocabulary:
        raise wrong(name, value, f"an id from 0 to {vocabulary - 1}")
    return value


def _settings(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that holds settings, those that are null left out; empty where the file has none."""
    value = data.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise wrong(name, value, "an object")
    return {each: given for each, given in (value or {}).items() if given is not None}


def _nameless(data: Mapping[str, Any], setting: str) -> CheckpointError:
    """The error to raise where a ``setting`` is there and no kind that would read it."""
    field = _field_with(data, setting)
    return wrong(field, data[field], f"an object that names the rope_type of its {setting}")


def _field_with(data: Mapping[str, Any], setting: str) -> str:
    """Which of the two spellings of the rotary embedding's settings has this one."""
    return next(name for name in ("rope_parameters", "rope_scaling") if setting in _settings(data, name))
