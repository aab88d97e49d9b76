"""What ``config.json`` says of a LLaDA2 model, checked. This module does not know torch.

Field names are the published ones. What the network does not implement is refused by name, and so is a field
that the published code ignores and that says otherwise than it does: ``score_function``, ``router_dtype``,
``norm_topk_prob`` and ``moe_router_enable_expert_bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture
from llada_runtime.memory import Estimated
from llada_runtime.models.fields import (
    boolean,
    end_ids,
    heads,
    integer,
    mask,
    missing,
    number,
    rotary,
    with_mask,
    wrong,
)
from llada_runtime.models.variants import refuse_unimplemented
from llada_runtime.network.shape import Experts

__all__ = ["LLaDA2Config"]

_PUBLISHED_VOCABULARY = 157184
_PUBLISHED: Mapping[str, int] = {"mask_token_id": 156895, "eos_token_id": 156892}
"""What no release says in its config: the defaults of the published ``generate``, for its vocabulary."""

_FIXED: Mapping[str, tuple[Any, ...]] = {
    "norm_head": (False,),
    "norm_softmax": (False,),
    "router_dtype": ("fp32", "float32"),
    "norm_topk_prob": (True,),
    "moe_router_enable_expert_bias": (True,),
    **dict.fromkeys(("score_function", "scoring_func", "moe_router_score_function"), ("sigmoid",)),
}
"""Fields that the network implements in one way only and otherwise than others, by what they may say, besides
null."""

_TYPES = ("llada2_moe", "llada21_moe")
_READ = (
    "num_experts",
    "num_shared_experts",
    "first_k_dense_replace",
    "n_group",
    "topk_group",
    "routed_scaling_factor",
    "use_qk_norm",
)
"""Fields that some networks do not have, and this one needs: the published class has other defaults."""

_INSERTS = ("delete_token_id", "split_token_id", "expert_capacity")
"""Fields of LLaDA2.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LLaDA2Config(Estimated):
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
        fields = read_fields(folder)
        _refuse_variants(fields)  # LLaDA2.2 is told as that, whether its mask is known or not
        known = fields.get("vocab_size") == _PUBLISHED_VOCABULARY
        return cls.from_dict(with_mask(fields, folder, published=_PUBLISHED["mask_token_id"], assume=known))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLaDA2Config:
        """The configuration in a parsed ``config.json``.

        Raises:
            CheckpointError: a field is missing or malformed; the message names it.
            UnsupportedArchitecture: a field asks for what the network does not implement.
        """
        _refuse_variants(data)
        vocabulary = integer(data, "vocab_size")
        known = _PUBLISHED if vocabulary == _PUBLISHED_VOCABULARY else {}
        told = {**known, **{name: each for name, each in data.items() if each is not None}}
        shape = _shape(data, vocabulary)
        theta, channels = _rotary(data, shape.head_dim)
        return cls(
            shape=shape,
            rope_theta=theta,
            rotary_channels=channels,
            mask_id=mask(told, vocabulary),
            eos_ids=end_ids(told, vocabulary),
            max_sequence_length=integer(data, "max_position_embeddings"),
        )


def _refuse_variants(data: Mapping[str, Any]) -> None:
    newer = [field for field in _INSERTS if data.get(field) is not None]
    if data.get("model_type") == "llada22_moe":
        newer.append("model_type")
    if newer:
        raise UnsupportedArchitecture(
            f"config.json: {newer[0]} = {data[newer[0]]!r} is of LLaDA2.2, which inserts and deletes tokens "
            "while it decodes, and this engine runs LLaDA2.0 and 2.1; run it with SGLang, or take one of "
            "these"
        )
    if data.get("model_type") == "llada2_moe_veomni":
        raise UnsupportedArchitecture(
            "config.json: model_type is 'llada2_moe_veomni', dFactory's format for training, whose experts "
            "are merged; split them by dFactory's own script, and load the folder that it writes"
        )
    named = data.get("architectures")
    listed = named if isinstance(named, list) else []
    if data.get("model_type") not in _TYPES and "LLaDA2MoeModelLM" not in listed:
        raise UnsupportedArchitecture(
            f"config.json: model_type is {data.get('model_type')!r} and architectures is {named!r}, and this "
            "network runs 'llada2_moe', 'LLaDA2MoeModelLM'; load the model with the engine made for it"
        )
    refuse_unimplemented(data, _FIXED, reads=_READ)
    for name in (*_READ, "use_bias", "use_qkv_bias"):
        if data.get(name) is None:
            raise missing(name)


def _shape(data: Mapping[str, Any], vocabulary: int) -> Shape:
    attention, layers = heads(data), integer(data, "num_hidden_layers")
    dense = integer(data, "first_k_dense_replace", default=0, least=0)
    if dense > layers:
        raise wrong("first_k_dense_replace", dense, f"at most the number of layers, {layers}")
    return Shape(
        width=attention.width,
        n_layers=layers,
        n_heads=attention.count,
        n_kv_heads=attention.kv_count,
        head_dim=attention.dim,
        mlp_width=integer(data, "intermediate_size"),
        vocabulary=vocabulary,
        eps=number(data, "rms_norm_eps"),
        qk_norm=boolean(data, "use_qk_norm", default=True),
        tied=boolean(data, "tie_word_embeddings", default=False),
        experts=_experts(data),
        dense_layers=tuple(range(dense)),
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    chosen, width = integer(data, "num_experts_per_tok"), integer(data, "moe_intermediate_size")
    groups = integer(data, "n_group", default=1)
    return Experts(
        count=integer(data, "num_experts"),
        chosen=chosen,
        width=width,
        shared_width=width * integer(data, "num_shared_experts", default=0, least=0),
        scores="sigmoid",
        renormalised=chosen > 1,
        groups=groups,
        groups_chosen=integer(data, "topk_group", default=groups),
        scale=number(data, "routed_scaling_factor", default=1.0),
        bias=True,
    )


def _rotary(data: Mapping[str, Any], head_dim: int) -> tuple[float, int]:
    """The base of the rotary embedding, and the channels of a head that turn."""
    found = rotary(data, parts=True)
    if found.settings.get("partial_rotary_factor") is None:
        raise missing("partial_rotary_factor")
    channels = int(head_dim * found.part)
    if not 2 <= channels <= head_dim or channels % 2:
        raise wrong("partial_rotary_factor", found.part, f"an even part of the {head_dim} channels of a head")
    if data.get("rotary_dim") not in (None, channels):
        raise wrong("rotary_dim", data["rotary_dim"], f"{channels}, as partial_rotary_factor makes it")
    return found.theta, channels
