"""What ``config.json`` says of a Nemotron diffusion model, checked.

Token facts are always needed; the architecture only by our own network, so that a variant which that network
does not implement is an ``architecture_problem`` and no error. Field names are the published ones, in the
spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5 (``rope_parameters``). This module does not
know torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Literal

from llada_runtime import CheckpointError, UnsupportedArchitecture
from llada_runtime.config import read_config

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NemotronConfig:
    """Special tokens and limits of a checkpoint, and its architecture where our own network implements it.

    Attributes:
        mask_token_id, eos_token_id: the latter an id, several, or None where the config does not say.
        vocab_size: rows of the embedding.
        max_position_embeddings: the length limit, prompt and answer together.
        family: which of the two published shapes, or None for another.
        architecture: the numbers, or None where ``architecture_problem`` says why our network cannot run it.
    """

    mask_token_id: int
    eos_token_id: int | tuple[int, ...] | None
    vocab_size: int
    max_position_embeddings: int
    family: Family | None
    architecture: Architecture | None
    architecture_problem: str | None

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
    def causal_context(self) -> bool:
        """Whether the model was trained on a causal context: Ministral-style ones were."""
        return self.family == "ministral"

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> NemotronConfig:
        """The configuration in ``folder/config.json``.

        Raises:
            CheckpointError: the file is missing or lacks a token id, the vocabulary or the length limit.
        """
        return cls.from_dict(read_config(Path(folder)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NemotronConfig:
        """The configuration in a parsed ``config.json``. Raises CheckpointError as ``from_pretrained``."""
        family = _family(data)
        architecture, problem = _architecture(data, family)
        vocab = _integer(data, "vocab_size")
        return cls(
            mask_token_id=_token(data.get("mask_token_id"), "mask_token_id", vocab),
            eos_token_id=_eos(data.get("eos_token_id"), vocab),
            vocab_size=vocab,
            max_position_embeddings=_integer(data, "max_position_embeddings"),
            family=family,
            architecture=architecture,
            architecture_problem=problem,
        )


def _family(data: Mapping[str, Any]) -> Family | None:
    named = data.get("architectures") or ()
    return next((_FAMILIES[name] for name in named if name in _FAMILIES), None)


def _architecture(data: Mapping[str, Any], family: Family | None) -> tuple[Architecture | None, str | None]:
    """The architecture, or why there is none."""
    if family is None:
        known = ", ".join(_FAMILIES)
        named = data.get("architectures")
        return None, f"config.json: architectures is {named!r}, and our own network runs {known}"
    try:
        return _read_architecture(data, family), None
    except CheckpointError as exc:
        return None, str(exc)


def _read_architecture(data: Mapping[str, Any], family: Family) -> Architecture:
    _refuse_variants(data)
    hidden, heads = _integer(data, "hidden_size"), _integer(data, "num_attention_heads")
    found = Architecture(
        hidden_size=hidden,
        intermediate_size=_integer(data, "intermediate_size"),
        num_hidden_layers=_integer(data, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=_integer({"num_key_value_heads": heads} | _given(data), "num_key_value_heads"),
        head_dim=_integer({"head_dim": hidden // heads} | _given(data), "head_dim"),
        rms_norm_eps=_number(data, "rms_norm_eps"),
        qk_norm=family == "qwen3" and not data.get("disable_qk_norm", False),
        attention_bias=bool(data.get("attention_bias", False)),
        rope=_rope(data),
    )
    if heads % found.num_key_value_heads:
        raise _wrong("num_key_value_heads", found.num_key_value_heads, f"a divisor of {heads} heads")
    if found.head_dim % 2:
        raise _wrong("head_dim", found.head_dim, "even")
    return found


def _refuse_variants(data: Mapping[str, Any]) -> None:
    fixed = {"hidden_act": "silu", "use_sliding_window": False, "mlp_bias": False}
    for field, wanted in fixed.items():
        if data.get(field, wanted) != wanted:
            raise UnsupportedArchitecture(
                f"config.json: {field} = {data[field]!r} is not implemented by our own network "
                f"(only {wanted!r} is)"
            )


def _rope(data: Mapping[str, Any]) -> Rope:
    settings = {**(data.get("rope_scaling") or {}), **(data.get("rope_parameters") or {})}
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind not in ("default", "yarn"):
        raise UnsupportedArchitecture(
            f"config.json: rope_type = {kind!r} is not implemented by our own network "
            "(only 'default' and 'yarn' are)"
        )
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise UnsupportedArchitecture(
            f"config.json: partial_rotary_factor = {settings['partial_rotary_factor']!r} is not implemented "
            "by our own network (only 1.0 is)"
        )
    limit = data.get("max_position_embeddings")
    original = _integer({"original_max_position_embeddings": limit} | settings, _ORIGINAL)
    return Rope(
        theta=_number({"rope_theta": data.get("rope_theta")} | _given(settings), "rope_theta"),
        yarn=_yarn(settings, original) if kind == "yarn" else None,
        growth=float(settings.get("llama_4_scaling_beta") or 0.0),
        growth_from=original,
    )


_ORIGINAL = "original_max_position_embeddings"


def _yarn(settings: Mapping[str, Any], original: int) -> Yarn:
    factor = _number(settings, "factor")
    given = settings.get("attention_factor")
    return Yarn(
        factor=factor,
        original=original,
        beta_fast=float(settings.get("beta_fast") or 32),
        beta_slow=float(settings.get("beta_slow") or 1),
        truncate=bool(settings.get("truncate", True)),
        attention_factor=_attention_factor(settings, factor) if given is None else float(given),
    )


def _attention_factor(settings: Mapping[str, Any], factor: float) -> float:
    """The paper's ``0.1 · ln(factor) + 1``, or the quotient of two such where two weights are given."""

    def growth(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1.0

    above, below = settings.get("mscale"), settings.get("mscale_all_dim")
    return growth(above) / growth(below) if above and below else growth(1.0)


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _integer(data: Mapping[str, Any], field: str) -> int:
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(field, value, "a positive integer")
    return value


def _number(data: Mapping[str, Any], field: str) -> float:
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise _wrong(field, value, "a positive number")
    return float(value)


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
        f"config.json: {field} = {value!r} is not {expected}; "
        "take the config.json that was published with the weights"
    )
