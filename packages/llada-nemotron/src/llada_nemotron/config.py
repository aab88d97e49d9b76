"""What ``config.json`` says of a Nemotron diffusion model, checked.

Token facts are always needed; the architecture only by our own network, so that a variant which that network
does not implement is kept as an ``architecture_error`` and not raised. Field names are the published ones,
in the spelling of transformers 4 (``rope_theta``, ``rope_scaling``) or 5 (``rope_parameters``). This module
does not know torch.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, log
from pathlib import Path
from typing import Any, Literal

from llada_core.checkpoints import read_fields
from llada_runtime import CheckpointError, Shape, UnsupportedArchitecture

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
        mask_token_id, eos_token_id: the latter an id, several, or None where the config does not say.
        vocab_size: rows of the embedding.
        max_position_embeddings: the length limit, prompt and answer together.
        family: which of the two published shapes, or None for another.
        architecture: the numbers, or None where ``architecture_error`` says why our network cannot run it:
            an UnsupportedArchitecture, or a CheckpointError where the file is malformed.
    """

    mask_token_id: int
    eos_token_id: int | tuple[int, ...] | None
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
        return cls.from_dict(read_fields(folder))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NemotronConfig:
        """The configuration in a parsed ``config.json``. Raises CheckpointError as ``from_pretrained``."""
        family = _family(data)
        architecture, error = _architecture(data, family)
        vocab = _integer(data, "vocab_size")
        return cls(
            mask_token_id=_token(data.get("mask_token_id"), "mask_token_id", vocab),
            eos_token_id=_eos(data.get("eos_token_id"), vocab),
            vocab_size=vocab,
            max_position_embeddings=_integer(data, "max_position_embeddings"),
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
    _refuse_variants(data)
    hidden, heads = _integer(data, "hidden_size"), _integer(data, "num_attention_heads")
    found = Architecture(
        hidden_size=hidden,
        intermediate_size=_integer(data, "intermediate_size"),
        num_hidden_layers=_integer(data, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=_integer(data, "num_key_value_heads", default=heads),
        head_dim=_integer(data, "head_dim", default=hidden // heads),
        rms_norm_eps=_number(data, "rms_norm_eps"),
        qk_norm=family == "qwen3" and not _boolean(data, "disable_qk_norm"),
        attention_bias=_boolean(data, "attention_bias"),
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
        if data.get(field, wanted) not in (wanted, None):
            raise _not_ours(field, data[field], wanted)


def _rope(data: Mapping[str, Any]) -> Rope:
    settings = {**_settings(data, "rope_scaling"), **_settings(data, "rope_parameters")}
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind not in ("default", "yarn"):
        raise _not_ours("rope_type", kind, "default", "yarn")
    partial = _number(settings, "partial_rotary_factor", default=1.0)
    if partial != 1.0:
        raise _not_ours("partial_rotary_factor", partial, 1.0)
    theta = _number({"rope_theta": data.get("rope_theta")} | settings, "rope_theta")
    if theta <= 1:
        raise _wrong("rope_theta", theta, "a number above 1")
    original = _integer(settings, _ORIGINAL, default=data.get("max_position_embeddings"))
    return Rope(
        theta=theta,
        yarn=_yarn(settings, original) if kind == "yarn" else None,
        growth=_number(settings, "llama_4_scaling_beta", default=0.0),
        growth_from=original,
    )


_ORIGINAL = "original_max_position_embeddings"


def _yarn(settings: Mapping[str, Any], original: int) -> Yarn:
    factor = _number(settings, "factor")
    return Yarn(
        factor=factor,
        original=original,
        beta_fast=_number(settings, "beta_fast", default=32.0),
        beta_slow=_number(settings, "beta_slow", default=1.0),
        truncate=_boolean(settings, "truncate", default=True),
        attention_factor=_number(settings, "attention_factor", default=_attention_factor(settings, factor)),
    )


def _attention_factor(settings: Mapping[str, Any], factor: float) -> float:
    """The paper's ``0.1 · ln(factor) + 1``, or the quotient of two such where two weights are given."""

    def growth(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1.0

    above, below = (_number(settings, field, default=0.0) for field in ("mscale", "mscale_all_dim"))
    return growth(above) / growth(below) if above and below else growth(1.0)


def _settings(data: Mapping[str, Any], field: str) -> dict[str, Any]:
    """A field that holds settings, those that are null left out; empty where the file has none."""
    value = data.get(field)
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(field, value, "an object")
    return {name: given for name, given in (value or {}).items() if given is not None}


def _integer(data: Mapping[str, Any], field: str, *, default: int | None = None) -> int:
    value = default if data.get(field) is None else data[field]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(field, value, "a positive integer")
    return value


def _number(data: Mapping[str, Any], field: str, *, default: float | None = None) -> float:
    """A number above 0; 0 too where that is the default."""
    value = default if data.get(field) is None else data[field]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value > 0 or value == default):
        raise _wrong(field, value, "a positive number")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise _wrong(field, value, "a finite number")
    return number


def _boolean(data: Mapping[str, Any], field: str, *, default: bool = False) -> bool:
    value = default if data.get(field) is None else data[field]
    if not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return value


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
        f"config.json: {field} = {reprlib.repr(value)} is not {expected}; "
        "take the config.json that was published with the weights"
    )


def _not_ours(field: str, value: object, *implemented: object) -> UnsupportedArchitecture:
    listed = " or ".join(map(repr, implemented))
    return UnsupportedArchitecture(
        f"config.json: {field} = {value!r} is not implemented by our own network, only {listed}"
    )
