"""What ``config.json`` says of a Dream model, checked. This module does not know torch.

Field names are the published ones (``configuration_dream.py``), in the spelling of transformers 4
(``rope_theta``, ``rope_scaling``) or 5 (``rope_parameters``). The published class has defaults of another
model, so that nothing which the network needs may be missing.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture

__all__ = ["DreamConfig"]

MODEL_TYPE, ARCHITECTURE = "Dream", "DreamModel"

# What the network implements in one way only; null is "not given". Any other value would decode to noise.
_FIXED: Mapping[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": True,
    "mlp_bias": False,
    "use_sliding_window": False,
    "use_mrope": False,
    "clip_qkv": None,
    "qk_norm": False,
    "use_qk_norm": False,
    "partial_rotary_factor": 1.0,
    "num_experts": 0,
    "num_local_experts": 0,
    "is_causal": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamConfig:
    """Dimensions and special tokens of one Dream checkpoint, under their published names.

    Attributes:
        max_position_embeddings: the length limit, prompt and answer together.
        tie_word_embeddings: the embedding is the head.
        eos_token_id: an id, several, or None where the file leaves it to others of the checkpoint.
    """

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    rms_norm_eps: float
    rope_theta: float
    vocab_size: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    mask_token_id: int
    eos_token_id: int | tuple[int, ...] | None

    def __post_init__(self) -> None:
        heads, hidden = self.num_attention_heads, self.hidden_size
        if hidden % heads:
            raise _wrong("hidden_size", hidden, f"a multiple of {heads} heads")
        if self.head_dim % 2:
            raise _wrong("hidden_size", hidden, "an even number of channels per head")
        if heads % self.num_key_value_heads:
            raise _wrong("num_key_value_heads", self.num_key_value_heads, f"a divisor of {heads} heads")
        if self.rope_theta <= 1:
            raise _wrong("rope_theta", self.rope_theta, "a number above 1")

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The end-of-sequence ids: none, one or several."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.vocab_size

    @property
    def max_sequence_length(self) -> int:
        """The runtime's word for ``max_position_embeddings``."""
        return self.max_position_embeddings

    @property
    def shape(self) -> Shape:
        """The numbers of the network: queries, keys and values have a bias, what follows them has none."""
        return Shape(
            width=self.hidden_size,
            n_layers=self.num_hidden_layers,
            n_heads=self.num_attention_heads,
            n_kv_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            mlp_width=self.intermediate_size,
            vocabulary=self.vocab_size,
            eps=self.rms_norm_eps,
            qkv_bias=True,
            tied=self.tie_word_embeddings,
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> DreamConfig:
        """The configuration in ``folder/config.json``.

        Raises:
            CheckpointError: the file is missing, is not a JSON object, or lacks a field.
            UnsupportedArchitecture: it is of another network, or a field asks for what this one has not.
        """
        return cls.from_dict(read_fields(folder))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DreamConfig:
        """The configuration in a parsed ``config.json``. Raises as ``from_pretrained``."""
        _refuse_other_networks(data)
        heads, vocab = _integer(data, "num_attention_heads"), _integer(data, "vocab_size")
        shared = {"num_key_value_heads": heads} if data.get("num_key_value_heads", 0) is None else data
        found = cls(
            hidden_size=_integer(data, "hidden_size"),
            intermediate_size=_integer(data, "intermediate_size"),
            num_hidden_layers=_integer(data, "num_hidden_layers"),
            num_attention_heads=heads,
            num_key_value_heads=_integer(shared, "num_key_value_heads"),
            rms_norm_eps=_number(data, "rms_norm_eps"),
            rope_theta=_theta(data),
            vocab_size=vocab,
            max_position_embeddings=_integer(data, "max_position_embeddings"),
            tie_word_embeddings=_boolean(data, "tie_word_embeddings"),
            mask_token_id=_token(data.get("mask_token_id"), "mask_token_id", vocab),
            eos_token_id=_eos(data.get("eos_token_id"), vocab),
        )
        if data.get("head_dim") not in (None, found.head_dim):
            raise _not_ours("head_dim", data["head_dim"], found.head_dim)
        return found


def _refuse_other_networks(data: Mapping[str, Any]) -> None:
    named = data.get("architectures")
    listed = named if isinstance(named, list) else []
    if data.get("model_type") != MODEL_TYPE and ARCHITECTURE not in listed:
        raise UnsupportedArchitecture(
            f"config.json: model_type is {data.get('model_type')!r} and architectures is {named!r}, and this "
            f"network runs {MODEL_TYPE!r}, {ARCHITECTURE!r}; load the model with the engine made for it"
        )
    for field, wanted in _FIXED.items():
        if data.get(field) not in (None, wanted):
            raise _not_ours(field, data[field], wanted)
    kinds = data.get("layer_types") or []
    if kinds and set(map(str, kinds)) != {"full_attention"}:
        raise _not_ours("layer_types", kinds, "full_attention")


def _theta(data: Mapping[str, Any]) -> float:
    """The base of the rotary embedding, which is plain."""
    settings: dict[str, Any] = {}
    for field in ("rope_scaling", "rope_parameters"):
        value = data.get(field)
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(field, value, "an object")
        settings |= {name: given for name, given in (value or {}).items() if given is not None}
    for name, wanted in (("rope_type", "default"), ("type", "default"), ("partial_rotary_factor", 1.0)):
        if settings.get(name, wanted) != wanted:
            raise _not_ours(name, settings[name], wanted)
    return _number({"rope_theta": data.get("rope_theta")} | settings, "rope_theta")


def _integer(data: Mapping[str, Any], field: str) -> int:
    value = _field(data, field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(field, value, "a positive integer")
    return value


def _number(data: Mapping[str, Any], field: str) -> float:
    value = _field(data, field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise _wrong(field, value, "a positive number")
    if not isfinite(value):
        raise _wrong(field, value, "a finite number")
    return float(value)


def _boolean(data: Mapping[str, Any], field: str) -> bool:
    value = data.get(field)
    if value is not None and not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return bool(value)


def _field(data: Mapping[str, Any], field: str) -> Any:
    if data.get(field) is None:
        raise CheckpointError(
            f"config.json: {field} is missing; take the config.json that was published with the weights"
        )
    return data[field]


def _token(value: object, field: str, vocab: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < vocab:
        raise _wrong(field, value, f"an id from 0 to {vocab - 1}")
    return value


def _eos(value: object, vocab: int) -> int | tuple[int, ...] | None:
    if isinstance(value, list):
        return tuple(_token(each, "eos_token_id", vocab) for each in value)
    return None if value is None else _token(value, "eos_token_id", vocab)


def _wrong(field: str, value: object, expected: str) -> CheckpointError:
    return CheckpointError(
        f"config.json: {field} = {reprlib.repr(value)} is not {expected}; "
        "take the config.json that was published with the weights"
    )


def _not_ours(field: str, value: object, implemented: object) -> UnsupportedArchitecture:
    return UnsupportedArchitecture(
        f"config.json: {field} = {value!r} is not implemented (only {implemented!r} is); "
        "this checkpoint needs its own model code"
    )
