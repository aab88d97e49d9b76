"""What ``config.json`` says of a Dream model, checked. This module does not know torch.

Field names are the published ones (``configuration_dream.py``), in the spelling of transformers 4
(``rope_theta``, ``rope_scaling``) or 5 (``rope_parameters``). The published class has defaults of another
model, so that nothing which the network needs may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from llada_core.checkpoints import read_fields
from llada_runtime import Shape, UnsupportedArchitecture
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
    unsupported,
    with_mask,
)
from llada_runtime.models.variants import refuse_unimplemented

__all__ = ["DreamConfig"]

MODEL_TYPE, ARCHITECTURE = "Dream", "DreamModel"
_REASONER = "DreamForCausalLM"
_PUBLISHED_MASK = 151666

# What the network implements in one way only; null is "not given". Any other value would decode to noise.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "attention_bias": (True,),
    "qkv_bias": (True,),
    "use_qkv_bias": (True,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamConfig(Estimated):
    """Dimensions and special tokens of one Dream checkpoint, under their published names.

    Attributes:
        max_position_embeddings: the length limit, prompt and answer together.
        tie_word_embeddings: the embedding is the head.
        mask_token_id: None only where fields were read without the folder that they come from.
        eos_ids: the end-of-sequence ids; none where the file leaves it to others of the checkpoint.
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
    mask_token_id: int | None
    eos_ids: tuple[int, ...]

    logits_columns: ClassVar[int] = 512  # of an answer as long as the published sampler writes

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def whole_widths(self) -> tuple[int, ...]:
        """Head columns of the whole forwards that are captured at loading: that of a block's first token."""
        return (1,)

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
        """The configuration in ``folder``; the mask's id is the tokenizer's where ``config.json`` has none.

        Raises:
            CheckpointError: the file is missing, is not a JSON object, or lacks a field.
            UnsupportedArchitecture: it is of another network, or a field asks for what this one has not.
        """
        fields = read_fields(folder)
        _refuse_other_networks(fields)  # they need not have a mask
        return cls.from_dict(with_mask(fields, folder, published=_PUBLISHED_MASK))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DreamConfig:
        """The configuration in a parsed ``config.json``, which need not name the mask token.

        Raises as ``from_pretrained``.
        """
        _refuse_other_networks(data)
        if (
            "num_key_value_heads" not in data
        ):  # null says as many, and the published default is of another model
            raise missing("num_key_value_heads")
        attention, vocab = heads({**data, "head_dim": None}), integer(data, "vocab_size")
        if data.get("head_dim") not in (None, attention.dim):
            raise unsupported("head_dim", data["head_dim"], attention.dim)
        return cls(
            hidden_size=attention.width,
            intermediate_size=integer(data, "intermediate_size"),
            num_hidden_layers=integer(data, "num_hidden_layers"),
            num_attention_heads=attention.count,
            num_key_value_heads=attention.kv_count,
            rms_norm_eps=number(data, "rms_norm_eps"),
            rope_theta=rotary(data).theta,
            vocab_size=vocab,
            max_position_embeddings=integer(data, "max_position_embeddings"),
            tie_word_embeddings=boolean(data, "tie_word_embeddings", default=False),
            mask_token_id=mask(data, vocab),
            eos_ids=end_ids(data, vocab),
        )


def _refuse_other_networks(data: Mapping[str, Any]) -> None:
    named = data.get("architectures")
    listed = named if isinstance(named, list) else []
    if data.get("model_type") != MODEL_TYPE and ARCHITECTURE not in listed:
        raise UnsupportedArchitecture(
            f"config.json: model_type is {data.get('model_type')!r} and architectures is {named!r}, and this "
            f"network runs {MODEL_TYPE!r}, {ARCHITECTURE!r}; load the model with the engine made for it"
        )
    if _REASONER in listed:
        raise UnsupportedArchitecture(
            f"config.json: architectures is {named!r}, the class of DreamReasoner, another network under "
            f"Dream's model_type: Qwen3's, whose blocks see what is before them, and this engine runs "
            f"{ARCHITECTURE!r}; run it by the code that comes with it"
        )
    refuse_unimplemented(data, _FIXED)
