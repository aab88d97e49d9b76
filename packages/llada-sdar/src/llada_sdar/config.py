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
from llada_runtime.network.shape import Experts

__all__ = ["SDARConfig", "length_of", "shape_of"]

_MIXTURES = {"sdar": False, "SDARForCausalLM": False, "sdar_moe": True, "SDARMoeForCausalLM": True}
# Options of this family's configuration classes, and of its neighbours', that the network implements in one
# way only: what is implemented comes first.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "use_sliding_window": (False,),
    "clip_qkv": (None,),
    "partial_rotary_factor": (1.0,),
    "decoder_sparse_step": (1,),
    "n_group": (None, 1),
    "routed_scaling_factor": (None, 1.0),
    "num_shared_experts": (None, 0),
    "n_shared_experts": (None, 0),
    "shared_expert_intermediate_size": (None, 0),
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
    def step_widths(self) -> tuple[int, ...]:
        """The widths of blocks whose steps are captured when the network is loaded: none where no width is
        said."""
        return () if self.block_size is None else (self.block_size,)

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
    mixture = _is_mixture(data)
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
        tied=_boolean(data, "tie_word_embeddings", default=False),
        experts=_experts(data) if mixture else None,
        dense_layers=_dense_layers(data) if mixture else (),
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    """Those of Qwen3's mixture: a softmax over all, without groups, biases or a shared expert."""
    return Experts(
        count=_integer(data, "num_experts"),
        chosen=_integer(data, "num_experts_per_tok"),
        width=_integer(data, "moe_intermediate_size"),
        renormalised=_boolean(data, "norm_topk_prob"),
    )


def _dense_layers(data: Mapping[str, Any]) -> tuple[int, ...]:
    value, layers = data.get("mlp_only_layers") or [], _integer(data, "num_hidden_layers")
    known = isinstance(value, list) and all(type(each) is int and 0 <= each < layers for each in value)
    if not known:
        raise _wrong("mlp_only_layers", value, f"a list of layers from 0 to {layers - 1}")
    return tuple(sorted(value))


def length_of(data: Mapping[str, Any]) -> int:
    """The length limit in columns. Raises CheckpointError."""
    return _integer(data, "max_position_embeddings")


def _is_mixture(data: Mapping[str, Any]) -> bool:
    """Whether the model is one of experts. Refuse the config of another family, which may have the same
    fields, and a dense model that has experts all the same."""
    named, kind = data.get("architectures"), data.get("model_type")
    listed = [*(named if isinstance(named, list) else []), kind]
    found = next((_MIXTURES[name] for name in listed if isinstance(name, str) and name in _MIXTURES), None)
    if found is None:
        raise UnsupportedArchitecture(
            f"config.json: model_type is {kind!r} and architectures is {named!r}, and this network runs "
            f"{', '.join(_MIXTURES)}; take the engine made for the model"
        )
    if not found and data.get("num_experts") is not None:
        raise _not_ours("num_experts", data["num_experts"], None)
    return found


def _refuse_variants(data: Mapping[str, Any]) -> None:
    for field, implemented in _FIXED.items():
        if data.get(field) not in (*implemented, None):
            raise _not_ours(field, data[field], implemented[0])
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


def _boolean(data: Mapping[str, Any], field: str, *, default: bool | None = None) -> bool:
    value = default if data.get(field) is None else data[field]
    if not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return value


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
