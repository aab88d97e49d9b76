"""What ``config.json`` says of a Nemotron diffusion model, checked.

Token facts are always needed; the architecture only by our own network, so that a variant which that network
does not implement is kept as an ``architecture_error`` and not raised. Field names are the published ones,
in the spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5 (``rope_parameters``). This module
does not know torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Literal

from llada_core.checkpoints import read_fields
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture
from llada_runtime.models.fields import (
    boolean,
    end_ids,
    heads,
    integer,
    number,
    rotary,
    token,
)
from llada_runtime.models.variants import refuse_unimplemented

__all__ = ["Architecture", "Family", "NemotronConfig", "Rope", "Yarn"]

Family = Literal["ministral", "qwen3"]

_FAMILIES: Mapping[str, Family] = {
    "NemotronLabsDiffusionModel": "ministral",
    "NemotronLabsDiffusionEncoderModel": "ministral",
    "MinistralDiffEncoderModel": "ministral",
    "DiffEncoderModel": "qwen3",
    "EfficientDLM": "qwen3",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Yarn:
    """YaRN (arXiv 2309.00071): ``original`` positions, stretched by ``factor``.

    ``attention_factor`` multiplies cosines and sines.
    """

    factor: float
    original: int
    beta_fast: float
    beta_slow: float
    truncate: bool
    attention_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope:
    """Rotary embedding, plain where ``yarn`` is None.

    From position ``growth_from`` on, queries are multiplied by ``1 + growth · ln(1 + ⌊position /
    growth_from⌋)``, as in Llama 4; a growth of 0 is none.
    """

    theta: float
    yarn: Yarn | None
    growth: float
    growth_from: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The numbers of the network, under their published names."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    qk_norm: bool
    attention_bias: bool
    rope: Rope

    def shape(self, vocab_size: int) -> Shape:
        """The runtime's words for the numbers; embedding and head are never tied."""
        return Shape(
            width=self.hidden_size,
            n_layers=self.num_hidden_layers,
            n_heads=self.num_attention_heads,
            n_kv_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            mlp_width=self.intermediate_size,
            vocabulary=vocab_size,
            eps=self.rms_norm_eps,
            qk_norm=self.qk_norm,
            qkv_bias=self.attention_bias,
            out_bias=self.attention_bias,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NemotronConfig:
    """Special tokens and limits of a checkpoint, and its architecture where our own network implements it.

    Attributes:
        mask_token_id: the id of the mask token.
        eos_ids: the end-of-sequence ids; none where the config does not say.
        vocab_size: rows of the embedding.
        max_position_embeddings: the length limit, prompt and answer together.
        family: which of the two published shapes, or None for another.
        architecture: the numbers, or None where ``architecture_error`` says why our network cannot run it:
            an UnsupportedArchitecture, or a CheckpointError where the file is malformed.
    """

    mask_token_id: int
    eos_ids: tuple[int, ...]
    vocab_size: int
    max_position_embeddings: int
    family: Family | None
    architecture: Architecture | None
    architecture_error: CheckpointError | None = dataclasses.field(compare=False)

    @property
    def architecture_problem(self) -> str | None:
        """What ``architecture_error`` says; None where our network can run the model."""
        return None if self.architecture_error is None else str(self.architecture_error)

    @property
    def embedding_size(self) -> int:
        """The runtime's word for ``vocab_size``."""
        return self.vocab_size

    @property
    def max_sequence_length(self) -> int:
        """The runtime's word for ``max_position_embeddings``."""
        return self.max_position_embeddings

    @property
    def causal_context(self) -> bool:
        """Whether the model was trained on a causal context: Ministral-style ones were."""
        return self.family == "ministral"

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> NemotronConfig:
        """The configuration in ``folder/config.json``.

        Raises:
            CheckpointError: the file is missing or lacks a token id, the vocabulary or the length limit.
        """
        return cls.from_dict(read_fields(folder))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NemotronConfig:
        """The configuration in a parsed ``config.json``. Raises CheckpointError as ``from_pretrained``."""
        family = _family(data)
        architecture, error = _architecture(data, family)
        vocab = integer(data, "vocab_size")
        return cls(
            mask_token_id=token(data, "mask_token_id", vocab),
            eos_ids=end_ids(data, vocab),
            vocab_size=vocab,
            max_position_embeddings=integer(data, "max_position_embeddings"),
            family=family,
            architecture=architecture,
            architecture_error=error,
        )


def _family(data: Mapping[str, Any]) -> Family | None:
    named = data.get("architectures")
    listed = named if isinstance(named, list) else []
    return next((_FAMILIES[name] for name in listed if isinstance(name, str) and name in _FAMILIES), None)


def _architecture(
    data: Mapping[str, Any], family: Family | None
) -> tuple[Architecture | None, CheckpointError | None]:
    """The architecture, or why there is none."""
    try:
        if family is None:
            raise UnsupportedArchitecture(
                f"config.json: architectures is {data.get('architectures')!r}, and our own network runs "
                f"{', '.join(_FAMILIES)}"
            )
        return _read_architecture(data, family), None
    except CheckpointError as exc:
        return None, exc


def _read_architecture(data: Mapping[str, Any], family: Family) -> Architecture:
    refuse_unimplemented(data, {}, reads=("attention_bias",))
    attention = heads(data)
    return Architecture(
        hidden_size=attention.width,
        intermediate_size=integer(data, "intermediate_size"),
        num_hidden_layers=integer(data, "num_hidden_layers"),
        num_attention_heads=attention.count,
        num_key_value_heads=attention.kv_count,
        head_dim=attention.dim,
        rms_norm_eps=number(data, "rms_norm_eps"),
        qk_norm=family == "qwen3" and not boolean(data, "disable_qk_norm", default=False),
        attention_bias=boolean(data, "attention_bias", default=False),
        rope=_rope(data),
    )


def _rope(data: Mapping[str, Any]) -> Rope:
    found = rotary(data, kinds=("default", "yarn"))
    settings = found.settings
    original = integer(settings, _ORIGINAL, default=data.get("max_position_embeddings"))
    return Rope(
        theta=found.theta,
        yarn=_yarn(settings, original) if found.kind == "yarn" else None,
        growth=number(settings, "llama_4_scaling_beta", default=0.0, or_zero=True),
        growth_from=original,
    )


_ORIGINAL = "original_max_position_embeddings"


def _yarn(settings: Mapping[str, Any], original: int) -> Yarn:
    factor = number(settings, "factor")
    return Yarn(
        factor=factor,
        original=original,
        beta_fast=number(settings, "beta_fast", default=32.0),
        beta_slow=number(settings, "beta_slow", default=1.0),
        truncate=boolean(settings, "truncate", default=True),
        attention_factor=number(settings, "attention_factor", default=_attention_factor(settings, factor)),
    )


def _attention_factor(settings: Mapping[str, Any], factor: float) -> float:
    """The paper's ``0.1 · ln(factor) + 1``, or the quotient of two such where two weights are given."""

    def growth(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1.0

    above, below = (
        number(settings, field, default=0.0, or_zero=True) for field in ("mscale", "mscale_all_dim")
    )
    return growth(above) / growth(below) if above and below else growth(1.0)
