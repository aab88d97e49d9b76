"""What ``config.json`` says of a LLaDA2 model, checked. This module does not know torch.

Field names are the published ones. What the network does not implement is refused by name, and so is a field
that the published code ignores and that says otherwise than it does: ``score_function``, ``router_dtype``,
``norm_topk_prob`` and ``moe_router_enable_expert_bias``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.mask import mask_token_id
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture
from llada_runtime.network.shape import Experts

__all__ = ["LLaDA2Config"]

_PUBLISHED_VOCABULARY = 157184
_PUBLISHED: Mapping[str, int] = {"mask_token_id": 156895, "eos_token_id": 156892}
"""What no release says in its config: the defaults of the published ``generate``, for its vocabulary."""

_FIXED: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "use_bias": (False,),
    "use_qkv_bias": (False,),
    "use_sliding_window": (False,),
    "clip_qkv": (),
    "norm_head": (False,),
    "norm_softmax": (False,),
    "score_function": ("sigmoid",),
    "router_dtype": ("fp32", "float32"),
    "norm_topk_prob": (True,),
    "moe_router_enable_expert_bias": (True,),
    "quantization_config": (),
}
"""Fields that the network implements in one way only, by what they may say, besides null."""

_INSERTS = ("delete_token_id", "split_token_id", "expert_capacity")
"""Fields of LLaDA2.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LLaDA2Config:
    """The numbers of a checkpoint, its special tokens and its limit.

    Attributes:
        shape: the numbers of the network.
        rope_theta, rotary_channels: the base of the rotary embedding, and how many channels of a head turn.
        mask_id: of the mask token; None where ``config.json`` does not tell, and the vocabulary is another
            than the published one.
        eos_ids: the end-of-sequence ids; none where the file leaves it to others of the checkpoint.
        max_sequence_length: in columns, prompt and answer together.
    """

    shape: Shape
    rope_theta: float
    rotary_channels: int
    mask_id: int | None
    eos_ids: tuple[int, ...]
    max_sequence_length: int

    @property
    def mask_token_id(self) -> int:
        """The id of the mask token. Raises CheckpointError where none is known."""
        if self.mask_id is None:
            raise CheckpointError(
                "config.json: mask_token_id is missing, and no other file of the checkpoint tells it; "
                "add the id of the mask token to config.json"
            )
        return self.mask_id

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self.shape.vocabulary

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.shape.vocabulary

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LLaDA2Config:
        """The configuration in ``folder``: of ``config.json``, and of what else tells the mask token.

        That is, in this order: ``config.json``, ``generation_config.json``, the tokenizer's files, and the
        published default for the published vocabulary.

        Raises:
            CheckpointError: a file is missing or damaged, or no mask token is known.
            UnsupportedArchitecture: a field asks for what the network does not implement.
        """
        place = Path(folder)
        fields = read_fields(place)
        told = fields.get("mask_token_id")
        if told is None and (place / "generation_config.json").is_file():
            told = read_fields(place, "generation_config.json").get("mask_token_id")
        if told is None:
            told = mask_token_id({}, place)
        config = cls.from_dict(fields if told is None else {**fields, "mask_token_id": told})
        return replace(config, mask_id=config.mask_token_id)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLaDA2Config:
        """The configuration in a parsed ``config.json``.

        Raises:
            CheckpointError: a field is missing or malformed; the message names it.
            UnsupportedArchitecture: a field asks for what the network does not implement.
        """
        _refuse_variants(data)
        vocabulary = _integer(data, "vocab_size")
        known = _PUBLISHED if vocabulary == _PUBLISHED_VOCABULARY else {}
        mask, eos = (_given(data, name, known.get(name)) for name in ("mask_token_id", "eos_token_id"))
        listed = eos if isinstance(eos, list) else [] if eos is None else [eos]
        shape = _shape(data, vocabulary)
        theta, channels = _rotary(data, shape.head_dim)
        return cls(
            shape=shape,
            rope_theta=theta,
            rotary_channels=channels,
            mask_id=None if mask is None else _token(mask, "mask_token_id", vocabulary),
            eos_ids=tuple(_token(each, "eos_token_id", vocabulary) for each in listed),
            max_sequence_length=_integer(data, "max_position_embeddings"),
        )


def _refuse_variants(data: Mapping[str, Any]) -> None:
    newer = [field for field in _INSERTS if data.get(field) is not None]
    if newer:
        raise UnsupportedArchitecture(
            f"config.json: {newer[0]} = {data[newer[0]]!r} is of LLaDA2.2, which inserts and deletes tokens "
            "while it decodes; this engine runs LLaDA2.0 and 2.1"
        )
    if data.get("model_type") == "llada2_moe_veomni":
        raise UnsupportedArchitecture(
            "config.json: model_type is 'llada2_moe_veomni', dFactory's format for training, whose experts "
            "are merged; split them by dFactory's own script, and load the folder that it writes"
        )
    for field, implemented in _FIXED.items():
        if data.get(field) is not None and data[field] not in implemented:
            listed = " or ".join(map(repr, implemented)) or "null"
            raise UnsupportedArchitecture(
                f"config.json: {field} = {data[field]!r} is not implemented, only {listed}; "
                "this checkpoint needs its own model code"
            )


def _shape(data: Mapping[str, Any], vocabulary: int) -> Shape:
    width, heads = _integer(data, "hidden_size"), _integer(data, "num_attention_heads")
    kv_heads = _integer(data, "num_key_value_heads", default=heads)
    if heads % kv_heads:
        raise _wrong("num_key_value_heads", kv_heads, f"a divisor of {heads} heads")
    layers = _integer(data, "num_hidden_layers")
    dense = _integer(data, "first_k_dense_replace", default=0, least=0)
    if dense > layers:
        raise _wrong("first_k_dense_replace", dense, f"at most the number of layers, {layers}")
    return Shape(
        width=width,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_dim=_integer(data, "head_dim", default=width // heads),
        mlp_width=_integer(data, "intermediate_size"),
        vocabulary=vocabulary,
        eps=_number(data, "rms_norm_eps"),
        qk_norm=_boolean(data, "use_qk_norm", default=True),
        tied=_boolean(data, "tie_word_embeddings", default=False),
        experts=_experts(data),
        dense_layers=tuple(range(dense)),
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    chosen, width = _integer(data, "num_experts_per_tok"), _integer(data, "moe_intermediate_size")
    groups = _integer(data, "n_group", default=1)
    return Experts(
        count=_integer(data, "num_experts"),
        chosen=chosen,
        width=width,
        shared_width=width * _integer(data, "num_shared_experts", default=0, least=0),
        scores="sigmoid",
        renormalised=chosen > 1,
        groups=groups,
        groups_chosen=_integer(data, "topk_group", default=groups),
        scale=_number(data, "routed_scaling_factor", default=1.0),
        bias=True,
    )


def _rotary(data: Mapping[str, Any], head_dim: int) -> tuple[float, int]:
    """The base of the rotary embedding, and the channels of a head that turn."""
    settings = {**_settings(data, "rope_scaling"), **_settings(data, "rope_parameters")}
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind != "default":
        raise UnsupportedArchitecture(
            f"config.json: rope_type = {kind!r} is not implemented, only 'default'; "
            "this checkpoint needs its own model code"
        )
    given = {**{name: data.get(name) for name in ("rope_theta", "partial_rotary_factor")}, **settings}
    theta, factor = _number(given, "rope_theta"), _number(given, "partial_rotary_factor", default=1.0)
    channels = int(head_dim * factor)
    if theta <= 1:
        raise _wrong("rope_theta", theta, "a number above 1")
    if not 2 <= channels <= head_dim or channels % 2:
        raise _wrong("partial_rotary_factor", factor, f"an even part of the {head_dim} channels of a head")
    if data.get("rotary_dim") not in (None, channels):
        raise _wrong("rotary_dim", data["rotary_dim"], f"{channels}, as partial_rotary_factor makes it")
    return theta, channels


def _settings(data: Mapping[str, Any], field: str) -> dict[str, Any]:
    """A field that holds settings, those that are null left out; empty where the file has none."""
    value = data.get(field)
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(field, value, "an object")
    return {name: given for name, given in (value or {}).items() if given is not None}


def _given(data: Mapping[str, Any], field: str, default: Any) -> Any:
    """The field, or ``default`` where the file leaves it out or null."""
    return default if data.get(field) is None else data[field]


def _integer(data: Mapping[str, Any], field: str, *, default: int | None = None, least: int = 1) -> int:
    value = _given(data, field, default)
    if value is None:
        raise _missing(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(field, value, f"an integer, {least} or more")
    return value


def _number(data: Mapping[str, Any], field: str, *, default: float | None = None) -> float:
    value = _given(data, field, default)
    if value is None:
        raise _missing(field)
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else nan
    except OverflowError:
        number = inf
    if not (isfinite(number) and number > 0):
        raise _wrong(field, value, "a finite number above 0")
    return number


def _boolean(data: Mapping[str, Any], field: str, *, default: bool) -> bool:
    value = _given(data, field, default)
    if not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return value


def _token(value: object, field: str, vocabulary: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < vocabulary:
        raise _wrong(field, value, f"an id from 0 to {vocabulary - 1}")
    return value


def _missing(field: str) -> CheckpointError:
    return CheckpointError(
        f"config.json: {field} is missing; take the config.json that was published with the weights"
    )


def _wrong(field: str, value: object, expected: str) -> CheckpointError:
    return CheckpointError(
        f"config.json: {field} = {reprlib.repr(value)} is not {expected}; "
        "take the config.json that was published with the weights"
    )
