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
from llada_core.errors import UnsupportedArchitecture
from llada_runtime.models.fields import (
    boolean,
    end_ids,
    heads,
    integer,
    mask,
    number,
    rotary,
    with_mask,
    wrong,
)
from llada_runtime.models.variants import refuse_unimplemented
from llada_runtime.network.shape import Experts, Shape

__all__ = ["LLaDAMoEConfig", "is_llada_moe"]

_ARCHITECTURE = "LLaDAMoEModelLM"
_PUBLISHED_MASK = 156895

# Other values than those of all networks: a shared expert of no channels would have weights all the same. The
# published code reads neither norm_topk_prob, whatever it says, nor the routed_*, router_* and
# moe_router_score_function of the table: a file that sets these means another model than that code runs.
_FIXED: Mapping[str, tuple[Any, ...]] = {"shared_expert_intermediate_size": ()}


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
        eos_ids: the end-of-sequence ids; none where the file leaves it to others of the checkpoint.
    """

    shape: Shape
    rope_theta: float
    max_sequence_length: int
    mask_token_id: int | None
    eos_ids: tuple[int, ...]

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self.shape.vocabulary

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.shape.vocabulary

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
        fields = read_fields(folder)
        _refuse_other_architectures(fields)  # they need not have a mask
        return cls.from_dict(with_mask(fields, folder, published=_PUBLISHED_MASK))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLaDAMoEConfig:
        """The configuration in a parsed ``config.json``, which need not name the mask token.

        Raises:
            CheckpointError: a field is missing or has the wrong type, or numbers contradict each other.
            UnsupportedArchitecture: a field asks for what this network does not implement.
        """
        _refuse_other_architectures(data)
        shape = _shape(data)
        return cls(
            shape=shape,
            rope_theta=rotary(data).theta,
            max_sequence_length=integer(data, "max_position_embeddings"),
            mask_token_id=mask(data, shape.vocabulary),
            eos_ids=end_ids(data, shape.vocabulary),
        )


def _refuse_other_architectures(data: Mapping[str, Any]) -> None:
    if not is_llada_moe(data):
        raise UnsupportedArchitecture(
            f"config.json: architectures is {data.get('architectures')!r}, and this network runs "
            f"{_ARCHITECTURE!r}; load the model with the engine made for it"
        )
    refuse_unimplemented(
        data, _FIXED, reads=("num_experts", "moe_layer_freq", "moe_router_enable_expert_bias")
    )


def _shape(data: Mapping[str, Any]) -> Shape:
    attention = heads(data)
    if attention.dim * attention.count != attention.width:
        equal = attention.width / attention.count
        raise wrong("head_dim", attention.dim, f"hidden_size / num_attention_heads = {equal:g}")
    layers = integer(data, "num_hidden_layers")
    dense = _dense_layers(data, layers)
    return Shape(
        width=attention.width,
        n_layers=layers,
        n_heads=attention.count,
        n_kv_heads=attention.kv_count,
        head_dim=attention.dim,
        mlp_width=integer(data, "dense_intermediate_size") if dense else 0,
        vocabulary=integer(data, "vocab_size"),
        eps=number(data, "rms_norm_eps"),
        qk_norm=boolean(data, "qk_layernorm", default=False),
        tied=boolean(data, "tie_word_embeddings", default=False),
        experts=_experts(data),
        dense_layers=dense,
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    bias = boolean(data, "moe_router_enable_expert_bias", default=False)
    count, chosen = integer(data, "num_experts"), integer(data, "num_experts_per_tok")
    if chosen > count:
        raise wrong("num_experts_per_tok", chosen, f"at most num_experts = {count}")
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
    if not isinstance(listed, list) or len(listed) != layers or not all(map(_is_flag, listed)):
        raise wrong("moe_layer_freq", listed, f"a list of 0 or 1 for each of {layers} layers")
    return tuple(index for index, each in enumerate(listed) if each == 0)


def _is_flag(value: Any) -> bool:
    return type(value) is int and value in (0, 1)
