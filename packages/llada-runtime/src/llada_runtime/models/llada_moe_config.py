"""The numbers of LLaDA-MoE, read from ``config.json`` and checked.

Its ``model_type`` is "llada", as that of the dense model: only ``architectures`` tells the two apart. This
module does not know torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.mask import mask_token_id
from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.models.fields import eos_of, integer, positive, switch, token
from llada_runtime.network.shape import Experts, Shape

__all__ = ["LLaDAMoEConfig", "is_llada_moe"]

_ARCHITECTURE = "LLaDAMoEModelLM"

# What this network implements in one way only; null is what the configuration class does without them. The
# published code reads neither norm_topk_prob, whatever it says, nor the routed_*, router_* and
# moe_router_score_function below: a file that sets these means another model than the published code runs.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "attention_bias": (False,),
    "clip_qkv": (),
    "hidden_act": ("silu",),
    "moe_router_score_function": ("softmax",),
    "partial_rotary_factor": (1,),
    "rope_scaling": (),
    "routed_scaling_factor": (1,),
    "router_num_group": (1,),
    "router_topk_group": (1,),
    "shared_expert_intermediate_size": (),
    "sliding_window": (),
}


def is_llada_moe(data: Mapping[str, Any]) -> bool:
    """Whether a parsed ``config.json`` names the architecture."""
    named = data.get("architectures")
    return isinstance(named, list) and _ARCHITECTURE in named


@dataclass(frozen=True, slots=True, kw_only=True)
class LLaDAMoEConfig:
    """Dimensions and special tokens of one LLaDA-MoE checkpoint.

    Attributes:
        shape: the numbers of the network.
        mask_token_id: None only where fields were read without the folder that they come from.
    """

    shape: Shape
    rope_theta: float
    max_sequence_length: int
    mask_token_id: int | None
    eos_token_id: int | tuple[int, ...] | None

    def __post_init__(self) -> None:
        masks = () if self.mask_token_id is None else (self.mask_token_id,)
        for field, ids in (("mask_token_id", masks), ("eos_token_id", self.eos_ids)):
            if not all(0 <= each < self.vocab_size for each in ids):
                raise CheckpointError(
                    f"config.json: {field} = {getattr(self, field)!r} is not of ids from 0 to "
                    f"{self.vocab_size - 1}; {_PUBLISHED}"
                )

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self.shape.vocabulary

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.shape.vocabulary

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The end-of-sequence ids: none where the file leaves it to others of the checkpoint."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @property
    def parameter_count(self) -> int:
        """Number of weights, from the dimensions alone."""
        return self.shape.parameter_count

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LLaDAMoEConfig:
        """The configuration in ``folder/config.json``, with the mask token that this or the tokenizer names.

        Raises:
            CheckpointError: the file is missing or damaged, or neither names a mask token.
            UnsupportedArchitecture: as `from_dict`.
        """
        place = Path(folder)
        data = read_fields(place)
        mask = mask_token_id(data, place)
        if mask is None and data.get("mask_token_id") is None:
            raise CheckpointError(
                f"{place}: config.json has no mask_token_id, and no file of a tokenizer there names a mask "
                "token; add mask_token_id to config.json (the checkpoints of inclusionAI were trained with "
                "156895)"
            )
        return cls.from_dict({"mask_token_id": mask, **_given(data)})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLaDAMoEConfig:
        """The configuration in a parsed ``config.json``, which need not name the mask token.

        Raises:
            CheckpointError: a field is missing or has the wrong type, or numbers contradict each other.
            UnsupportedArchitecture: a field asks for what this network does not implement.
        """
        _refuse_other_architectures(data)
        return cls(
            shape=_shape(data),
            rope_theta=positive(data, "rope_theta"),
            max_sequence_length=integer(data, "max_position_embeddings"),
            mask_token_id=None if data.get("mask_token_id") is None else token(data, "mask_token_id"),
            eos_token_id=eos_of(data),
        )


_PUBLISHED = "take the config.json that was published with the weights"


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _refuse_other_architectures(data: Mapping[str, Any]) -> None:
    if not is_llada_moe(data):
        raise UnsupportedArchitecture(
            f"config.json: architectures is {data.get('architectures')!r}, and this network runs "
            f"{_ARCHITECTURE!r}; load the model with the engine made for it"
        )
    for field, wanted in _FIXED.items():
        value = data.get(field)
        if value is not None and value not in wanted:
            done = " or ".join(map(repr, wanted)) or "none"
            raise UnsupportedArchitecture(
                f"config.json: {field} = {value!r} is not implemented (only {done} is); this checkpoint "
                "needs its own model code"
            )


def _shape(data: Mapping[str, Any]) -> Shape:
    width, heads = integer(data, "hidden_size"), integer(data, "num_attention_heads")
    kv_heads = integer({"num_key_value_heads": heads, **_given(data)}, "num_key_value_heads")
    head_dim = integer({"head_dim": width // heads, **_given(data)}, "head_dim")
    for field, holds, expected in (
        ("hidden_size", width % heads == 0, f"a multiple of {heads} heads"),
        ("num_key_value_heads", heads % kv_heads == 0, f"a divisor of {heads} heads"),
        ("head_dim", head_dim * heads == width, f"hidden_size / num_attention_heads = {width // heads}"),
        ("hidden_size", head_dim % 2 == 0, "an even number of channels per head"),
    ):
        if not holds:
            raise CheckpointError(
                f"config.json: {field} = {data.get(field)!r} is not {expected}; {_PUBLISHED}"
            )
    layers = integer(data, "num_hidden_layers")
    dense = _dense_layers(data, layers)
    return Shape(
        width=width,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_dim=head_dim,
        mlp_width=integer(data, "dense_intermediate_size") if dense else 0,
        vocabulary=integer(data, "vocab_size"),
        eps=positive(data, "rms_norm_eps"),
        qk_norm=switch(data, "qk_layernorm"),
        tied=switch(data, "tie_word_embeddings"),
        experts=_experts(data),
        dense_layers=dense,
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    bias = switch(data, "moe_router_enable_expert_bias")
    count, chosen = integer(data, "num_experts"), integer(data, "num_experts_per_tok")
    if chosen > count:
        raise CheckpointError(
            f"config.json: num_experts_per_tok = {chosen} is more than num_experts = {count}; {_PUBLISHED}"
        )
    return Experts(
        count=count,
        chosen=chosen,
        width=integer(data, "expert_intermediate_size"),
        scores="softmax",
        bias=bias,
        bias_counts=bias,
    )


def _dense_layers(data: Mapping[str, Any], layers: int) -> tuple[int, ...]:
    """The layers with a 0 in ``moe_layer_freq``."""
    listed = data.get("moe_layer_freq")
    if not isinstance(listed, list) or len(listed) != layers or any(each not in (0, 1) for each in listed):
        raise CheckpointError(
            f"config.json: moe_layer_freq = {listed!r} is not a list of 0 or 1 for each of {layers} layers; "
            f"{_PUBLISHED}"
        )
    return tuple(index for index, each in enumerate(listed) if each == 0)
