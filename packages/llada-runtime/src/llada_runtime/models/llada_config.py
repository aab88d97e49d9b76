"""The LLaDA architecture's numbers, read from ``config.json`` and checked.

This module does not know where checkpoints come from, nor torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_core.errors import UnsupportedArchitecture
from llada_runtime.models.fields import (
    boolean,
    end_ids,
    integer,
    number,
    rotary,
    token,
    wrong,
)
from llada_runtime.models.variants import refuse_unimplemented, refuse_variants
from llada_runtime.network.shape import Shape

__all__ = ["LLaDAConfig"]

# Options of the published configuration class that this network implements in one way only.
# A checkpoint that asks for another way would decode to noise, so it is refused.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "activation_type": ("silu",),
    "alibi": (False,),
    "attention_layer_norm": (False,),
    "bias_for_layer_norm": (False,),
    "block_group_size": (1,),
    "block_type": ("llama",),
    "include_bias": (False,),
    "include_qkv_bias": (False,),
    "input_emb_norm": (False,),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "rope": (True,),
    "rope_full_precision": (True,),
    "scale_logits": (False,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LLaDAConfig:
    """Dimensions and special tokens of one LLaDA checkpoint (field names as in its ``config.json``)."""

    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    mlp_hidden_size: int
    embedding_size: int
    vocab_size: int
    max_sequence_length: int
    rope_theta: float
    rms_norm_eps: float
    weight_tying: bool
    mask_token_id: int
    eos_token_id: int | tuple[int, ...] | None

    def __post_init__(self) -> None:
        self._require(self.d_model % self.n_heads == 0, "d_model", "a multiple of n_heads")
        self._require(self.head_dim % 2 == 0, "d_model", "an even number of channels per head")
        self._require(self.n_heads % self.n_kv_heads == 0, "n_kv_heads", "a divisor of n_heads")
        self._require(
            0 <= self.mask_token_id < self.embedding_size, "mask_token_id", "an id inside the vocabulary"
        )
        for eos in self.eos_ids:
            self._require(0 <= eos < self.embedding_size, "eos_token_id", "ids inside the vocabulary")

    def _require(self, holds: bool, field: str, expected: str) -> None:
        if not holds:
            raise wrong(field, getattr(self, field), expected)

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_heads

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The end-of-sequence ids: none where the file leaves it to others of the checkpoint."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @property
    def shape(self) -> Shape:
        """The numbers of the network."""
        return Shape(
            width=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            head_dim=self.head_dim,
            mlp_width=self.mlp_hidden_size,
            vocabulary=self.embedding_size,
            eps=self.rms_norm_eps,
            tied=self.weight_tying,
        )

    @property
    def parameter_count(self) -> int:
        """Number of weights, from the dimensions alone."""
        return self.shape.parameter_count

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LLaDAConfig:
        """The configuration in ``folder/config.json``.

        Raises:
            CheckpointError: the file is missing, is not a JSON object, or describes another architecture.
        """
        return cls.from_dict(read_fields(Path(folder)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLaDAConfig:
        """The configuration in a parsed ``config.json``; fields about training are not looked at.

        Raises:
            CheckpointError: a field is missing or has the wrong type; the message names it.
            UnsupportedArchitecture: a field asks for what this network does not implement.
        """
        _refuse_other_architectures(data)
        heads = integer(data, "n_heads")
        shared = boolean(data, "multi_query_attention", default=False)
        d_model, vocab = integer(data, "d_model"), integer(data, "vocab_size")
        rows, ends = integer(data, "embedding_size", default=vocab), data.get("eos_token_id")
        found = end_ids(data, rows)
        return cls(
            d_model=d_model,
            n_layers=integer(data, "n_layers"),
            n_heads=heads,
            n_kv_heads=1 if shared else integer(data, "n_kv_heads", default=heads),
            mlp_hidden_size=_mlp_width(data, d_model),
            embedding_size=rows,
            vocab_size=vocab,
            max_sequence_length=integer(data, "max_sequence_length"),
            rope_theta=rotary(data).theta,
            rms_norm_eps=number(data, "rms_norm_eps"),
            weight_tying=boolean(data, "weight_tying", default=False),
            mask_token_id=token(data, "mask_token_id", rows),
            eos_token_id=found if isinstance(ends, list) else next(iter(found), None),
        )


def _mlp_width(data: Mapping[str, Any], d_model: int) -> int:
    if data.get("mlp_hidden_size") is None:
        return integer(data, "mlp_ratio", default=4) * d_model
    return integer(data, "mlp_hidden_size")


def _refuse_other_architectures(data: Mapping[str, Any]) -> None:
    model_type = data.get("model_type", "llada")
    if model_type != "llada":
        raise UnsupportedArchitecture(
            f"config.json: model_type is {model_type!r}, and this network runs 'llada'; "
            "load the model with the engine made for it"
        )
    refuse_variants(data, _FIXED, nullable=False)  # the published code takes a null for false
    named = data.get("architectures")
    if "d_model" not in data and isinstance(named, list) and named and "LLaDAModelLM" not in named:
        raise UnsupportedArchitecture(  # as a mixture of experts, which bears the type and has other fields
            f"config.json: architectures is {named!r}, with other fields than 'LLaDAModelLM' has "
            "(no d_model); this checkpoint needs its own model code"
        )
    if "d_model" not in data and "num_experts" in data:
        raise UnsupportedArchitecture(
            f"config.json: num_experts = {data['num_experts']!r} is of a mixture of experts, and "
            f"architectures is {named!r}; where it is a LLaDA-MoE checkpoint, name 'LLaDAMoEModelLM' there"
        )
    refuse_unimplemented(data, {})
