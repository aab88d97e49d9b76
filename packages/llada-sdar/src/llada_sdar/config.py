"""What ``config.json`` says of an SDAR or TraDo model, checked. This module does not know torch.

Field names are the published ones, in the spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5
(``rope_parameters``). A field that asks for what the network does not implement is refused by its name.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.mask import mask_token_id
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture

__all__ = ["SDARConfig", "length_of", "shape_of"]

_TYPES = ("sdar", "sdar_moe")
_ARCHITECTURES = ("SDARForCausalLM", "SDARMoeForCausalLM")
# Options of the published configuration classes that this network implements in one way only.
_FIXED: Mapping[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "clip_qkv": None,
    "partial_rotary_factor": 1.0,
}
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class SDARConfig:
    """Numbers, special tokens and limits of a checkpoint.

    Attributes:
        shape: the numbers of the network.
        rope_theta: the base of the rotary embedding.
        vocab_size: rows of the embedding.
        max_position_embeddings: the length limit, prompt and answer together.
        block_size: the width of the blocks that it was trained for; None where the file is one of the first,
            which do not say.
        mask_token_id, eos_token_id: the latter an id, several, or None.
    """

    shape: Shape
    rope_theta: float
    max_position_embeddings: int
    block_size: int | None
    mask_token_id: int
    eos_token_id: int | tuple[int, ...] | None

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The end-of-sequence ids: none, one or several."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self.shape.vocabulary

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.shape.vocabulary

    @property
    def max_sequence_length(self) -> int:
        """The runtime's word for ``max_position_embeddings``."""
        return self.max_position_embeddings

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SDARConfig:
        """The configuration in ``folder``; the mask's id is the tokenizer's where ``config.json`` has none.

        Raises:
            CheckpointError: a file or a field is missing or malformed; the message names it.
            UnsupportedArchitecture: a field asks for what the network does not implement.
        """
        fields, place = read_fields(folder), Path(folder)
        return cls.from_dict({**fields, "mask_token_id": mask_token_id(fields, place)})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SDARConfig:
        """The configuration in a parsed ``config.json``. Raises as ``from_pretrained``."""
        shape = shape_of(data)
        block = data.get("block_size")
        return cls(
            shape=shape,
            rope_theta=_theta(data),
            max_position_embeddings=length_of(data),
            block_size=None if block is None else _integer(data, "block_size"),
            mask_token_id=_mask(data, shape.vocabulary),
            eos_token_id=_eos(data.get("eos_token_id"), shape.vocabulary),
        )


def shape_of(data: Mapping[str, Any]) -> Shape:
    """The numbers of the network, which need no special tokens. Raises as `SDARConfig.from_dict`."""
    _refuse_others(data)
    _refuse_variants(data)
    hidden, heads = _integer(data, "hidden_size"), _integer(data, "num_attention_heads")
    kv_heads = _integer(data, "num_key_value_heads", default=heads)
    head_dim = _integer(data, "head_dim", default=hidden // heads)
    if heads % kv_heads:
        raise _wrong("num_key_value_heads", kv_heads, f"a divisor of {heads} heads")
    if head_dim % 2:
        raise _wrong("head_dim", head_dim, "even")
    return Shape(
        width=hidden,
        n_layers=_integer(data, "num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_dim=head_dim,
        mlp_width=_integer(data, "intermediate_size"),
        vocabulary=_integer(data, "vocab_size"),
        eps=_number(data, "rms_norm_eps"),
        qk_norm=True,
        tied=_boolean(data, "tie_word_embeddings"),
    )


def length_of(data: Mapping[str, Any]) -> int:
    """The length limit in columns. Raises CheckpointError."""
    return _integer(data, "max_position_embeddings")


def _refuse_others(data: Mapping[str, Any]) -> None:
    """Refuse the config of another family, which may have the same fields."""
    named = data.get("architectures")
    listed = named if isinstance(named, list) else []
    if data.get("model_type") not in _TYPES and not any(name in _ARCHITECTURES for name in listed):
        raise UnsupportedArchitecture(
            f"config.json: model_type is {data.get('model_type')!r} and architectures is {named!r}, and this "
            f"network runs {', '.join((*_TYPES, *_ARCHITECTURES))}; take the engine made for the model"
        )


def _refuse_variants(data: Mapping[str, Any]) -> None:
    for field, wanted in _FIXED.items():
        if data.get(field) not in (wanted, None):
            raise _not_ours(field, data[field], wanted)
    kinds = data.get("layer_types") or []
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind != "full_attention":
            raise _not_ours("layer_types", kind, "full_attention")


def _theta(data: Mapping[str, Any]) -> float:
    """The base of a plain rotary embedding; scaled ones are refused."""
    settings: dict[str, Any] = {}
    for field in ("rope_scaling", "rope_parameters"):
        value = data.get(field)
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(field, value, "an object")
        settings |= {name: given for name, given in (value or {}).items() if given is not None}
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind != "default":
        raise _not_ours("rope_type", kind, "default")
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise _not_ours("partial_rotary_factor", settings["partial_rotary_factor"], 1.0)
    theta = _number({"rope_theta": data.get("rope_theta")} | settings, "rope_theta")
    if theta <= 1:
        raise _wrong("rope_theta", theta, "a number above 1")
    return theta


def _integer(data: Mapping[str, Any], field: str, *, default: int | None = None) -> int:
    value = default if data.get(field) is None else data[field]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(field, value, "a positive integer")
    return value


def _number(data: Mapping[str, Any], field: str) -> float:
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LARGEST:
        raise _wrong(field, value, "a positive number")
    return float(value)


def _boolean(data: Mapping[str, Any], field: str) -> bool:
    value = data.get(field)
    if not isinstance(value, bool | None):
        raise _wrong(field, value, "true or false")
    return bool(value)


def _mask(data: Mapping[str, Any], vocabulary: int) -> int:
    if data.get("mask_token_id") is None:
        raise CheckpointError(
            "config.json: mask_token_id is missing, and the tokenizer's files name no mask_token; write the "
            "mask's id into config.json (SDAR's is 151669)"
        )
    return _token(data["mask_token_id"], "mask_token_id", vocabulary)


def _token(value: object, field: str, vocabulary: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < vocabulary:
        raise _wrong(field, value, f"an id from 0 to {vocabulary - 1}")
    return value


def _eos(value: object, vocabulary: int) -> int | tuple[int, ...] | None:
    if isinstance(value, list):
        return tuple(_token(each, "eos_token_id", vocabulary) for each in value)
    return None if value is None else _token(value, "eos_token_id", vocabulary)


def _wrong(field: str, value: object, expected: str) -> CheckpointError:
    return CheckpointError(
        f"config.json: {field} = {reprlib.repr(value)} is not {expected}; "
        "take the config.json that was published with the weights"
    )


def _not_ours(field: str, value: object, implemented: object) -> UnsupportedArchitecture:
    return UnsupportedArchitecture(
        f"config.json: {field} = {reprlib.repr(value)} is not implemented (only {implemented!r} is); "
        "this checkpoint needs its own model code"
    )
