"""What ``config.json`` says of an SDAR or TraDo model, checked. This module does not know torch.

Field names are the published ones, in the spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5
(``rope_parameters``). A field that asks for what the network does not implement is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints import read_fields
from llada_runtime import Shape, UnsupportedArchitecture
from llada_runtime.memory import Estimated
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
from llada_runtime.network.shape import Experts

__all__ = ["SDARConfig"]

_MIXTURES = {"sdar": False, "SDARForCausalLM": False, "sdar_moe": True, "SDARMoeForCausalLM": True}
_PUBLISHED_MASK = 151669
# Options of this family's configuration classes, and of its neighbours', that the network implements in one
# way only, besides null.
_FIXED: Mapping[str, tuple[Any, ...]] = {"qk_norm": (True,), "use_qk_norm": (True,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SDARConfig(Estimated):
    """Numbers, special tokens and limits of a checkpoint.

    Attributes:
        shape: the numbers of the network.
        rope_theta: the base of the rotary embedding.
        vocab_size: rows of the embedding.
        max_position_embeddings: the length limit, prompt and answer together.
        block_size: the width of the blocks that it was trained for; None where the file is one of the first,
            which do not say.
        mask_token_id: None only where fields were read without the folder that they come from.
        eos_ids: the end-of-sequence ids: none, one or several.
    """

    shape: Shape
    rope_theta: float
    max_position_embeddings: int
    block_size: int | None
    mask_token_id: int | None
    eos_ids: tuple[int, ...]

    @property
    def step_widths(self) -> tuple[int, ...]:
        """The widths of blocks whose steps are captured when the network is loaded: none where no width is
        said."""
        return () if self.block_size is None else (self.block_size,)

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
        fields = read_fields(folder)
        _checked(fields)  # another network need not have a mask
        return cls.from_dict(with_mask(fields, folder, published=_PUBLISHED_MASK))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SDARConfig:
        """The configuration in a parsed ``config.json``, which need not name the mask token.

        Raises as ``from_pretrained``.
        """
        shape = _shape(data)
        longest = integer(data, "max_position_embeddings")
        return cls(
            shape=shape,
            rope_theta=rotary(data).theta,
            max_position_embeddings=longest,
            block_size=_block_size(data, longest),
            mask_token_id=mask(data, shape.vocabulary),
            eos_ids=end_ids(data, shape.vocabulary),
        )


def _block_size(data: Mapping[str, Any], longest: int) -> int | None:
    if data.get("block_size") is None:
        return None
    width = integer(data, "block_size")
    if width > longest:
        raise wrong("block_size", width, f"at most max_position_embeddings, {longest}")
    return width


def _checked(data: Mapping[str, Any]) -> bool:
    """Whether the model is one of experts. Refuse what the network does not implement."""
    mixture = _is_mixture(data)
    refuse_unimplemented(data, _FIXED, reads=("num_experts", "mlp_only_layers") if mixture else ())
    return mixture


def _shape(data: Mapping[str, Any]) -> Shape:
    mixture = _checked(data)
    attention = heads(data)
    return Shape(
        width=attention.width,
        n_layers=integer(data, "num_hidden_layers"),
        n_heads=attention.count,
        n_kv_heads=attention.kv_count,
        head_dim=attention.dim,
        mlp_width=integer(data, "intermediate_size"),
        vocabulary=integer(data, "vocab_size"),
        eps=number(data, "rms_norm_eps"),
        qk_norm=True,
        tied=boolean(data, "tie_word_embeddings", default=False),
        experts=_experts(data) if mixture else None,
        dense_layers=_dense_layers(data) if mixture else (),
    )


def _experts(data: Mapping[str, Any]) -> Experts:
    """Those of Qwen3's mixture: a softmax over all, without groups, biases or a shared expert."""
    return Experts(
        count=integer(data, "num_experts"),
        chosen=integer(data, "num_experts_per_tok"),
        width=integer(data, "moe_intermediate_size"),
        renormalised=boolean(data, "norm_topk_prob"),
    )


def _dense_layers(data: Mapping[str, Any]) -> tuple[int, ...]:
    value, layers = data.get("mlp_only_layers") or [], integer(data, "num_hidden_layers")
    known = isinstance(value, list) and all(type(each) is int and 0 <= each < layers for each in value)
    if not known:
        raise wrong("mlp_only_layers", value, f"a list of layers from 0 to {layers - 1}")
    return tuple(sorted(value))


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
    return found
