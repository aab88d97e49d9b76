"""What ``config.json`` says of a DiffusionGemma model, checked. This module does not know torch.

The network is transformers' own class, which takes any field that it is given and ignores those that it has
no code for. Whatever of Gemma 4 it has none for is refused here, by name.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.models.fields import boolean, integer
from llada_runtime.models.variants import refuse_unimplemented, refuse_variants

__all__ = ["GemmaConfig", "Layer"]

_SLIDING, _FULL = "sliding_attention", "full_attention"
_PATTERN = 6  # where no layer_types are given, each sixth layer sees all


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The attention of one layer: how many heads share keys and values, and how wide a head is.

    ``slides`` says that only the columns of the sliding window are seen, and that values have weights of
    their own; where it does not, they are made by those of the keys.
    """

    n_kv_heads: int
    head_dim: int
    slides: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaConfig:
    """The numbers of the language model, under their published names, and of its canvases.

    Attributes:
        layers: the attention of each.
        masked: whether every layer's mask is written out while columns are read, as where images are seen
            both ways; else sliding layers alone have one, once there are more columns than they see.
        tied: whether encoder, decoder and head share their weights; all of them or none.
        image_token_id: stands in a prompt for a part of an image; None where there is no such token.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    attention_bias: bool
    layers: tuple[Layer, ...]
    sliding_window: int
    masked: bool
    num_experts: int
    moe_intermediate_size: int
    max_position_embeddings: int
    canvas_length: int
    tied: bool
    image_token_id: int | None

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> GemmaConfig:
        """The facts in a parsed ``config.json``.

        Raises:
            CheckpointError: a field is missing or malformed.
            UnsupportedArchitecture: it asks for what transformers' class has no code for.
        """
        text = config.get("text_config")
        if not isinstance(text, Mapping):
            raise CheckpointError(
                f"config.json: text_config is {reprlib.repr(text)}, and it must hold the language model's "
                "fields; download it again"
            )
        _refuse_unimplemented(config, text)
        _check_experts(text)
        return cls(
            vocab_size=integer(text, "vocab_size"),
            hidden_size=integer(text, "hidden_size"),
            intermediate_size=integer(text, "intermediate_size"),
            num_attention_heads=integer(text, "num_attention_heads"),
            attention_bias=boolean({"attention_bias": False, **text}, "attention_bias"),
            layers=_layers(text),
            sliding_window=_window(text),
            masked=text.get("use_bidirectional_attention") == "vision",
            num_experts=integer(text, "num_experts"),
            moe_intermediate_size=integer(text, "moe_intermediate_size"),
            max_position_embeddings=integer(text, "max_position_embeddings"),
            canvas_length=integer({"canvas_length": 256, **config}, "canvas_length"),
            tied=boolean({"tie_word_embeddings": True, **config}, "tie_word_embeddings"),
            image_token_id=_image_token(config),
        )

    @property
    def parameter_count(self) -> int:
        """Numbers of the language model, tied ones counted once; the vision tower is not among them.

        Biases of the attention are never tied: encoder and decoder have their own.
        """
        width, biases = self.hidden_size, sum(map(self._biases_of, self.layers))
        reader = self.vocab_size * width + sum(map(self._weights_of, self.layers)) + width
        conditioning = width + 3 * width * self.intermediate_size
        untied = 0 if self.tied else reader + self.vocab_size * width  # the encoder's own, and the head
        return reader + conditioning + untied + 2 * biases

    def kv_numbers(self, columns: int) -> int:
        """Numbers in the keys and values of one row of so many columns; sliding layers keep their window."""
        window = self.sliding_window - 1
        return sum(
            2 * layer.n_kv_heads * layer.head_dim * (min(columns, window) if layer.slides else columns)
            for layer in self.layers
        )

    def masks(self, columns: int) -> int:
        """How many masks, of a byte for each two columns, are there while a prompt of so many is read."""
        slides = {layer.slides for layer in self.layers}
        return len(slides) if self.masked else int(True in slides and columns >= self.sliding_window)

    def columns_within(self, numbers: int) -> int:
        """Columns that one row may have where its keys and values may be so many numbers."""
        window = self.sliding_window - 1
        if numbers <= self.kv_numbers(window):
            return numbers // self.kv_numbers(1)
        beyond = self.kv_numbers(window + 1) - self.kv_numbers(window)
        return window + (numbers - self.kv_numbers(window)) // beyond

    def _weights_of(self, layer: Layer) -> int:
        width, queries, shared = self.hidden_size, *self._outputs_of(layer)
        attention = width * (2 * queries + shared) + 2 * layer.head_dim
        router = width + self.num_experts * (1 + width)
        experts = 3 * self.num_experts * self.moe_intermediate_size * width
        return attention + 3 * width * self.intermediate_size + router + experts + 7 * width

    def _biases_of(self, layer: Layer) -> int:
        return self.attention_bias * (sum(self._outputs_of(layer)) + self.hidden_size)

    def _outputs_of(self, layer: Layer) -> tuple[int, int]:
        """How many numbers the queries have, and keys and values where these have weights of their own."""
        shared = layer.n_kv_heads * layer.head_dim * (2 if layer.slides else 1)
        return self.num_attention_heads * layer.head_dim, shared


def _image_token(config: Mapping[str, Any]) -> int | None:
    """The field; null says that there is none, and where it is left out, it is transformers' own."""
    fields = {"image_token_id": 258_880, **config}
    return None if fields["image_token_id"] is None else integer(fields, "image_token_id")


_WHOLE: Mapping[str, tuple[object, ...]] = {"quantization_config": (), "audio_config": ()}
_TEXT: Mapping[str, tuple[object, ...]] = {
    "hidden_size_per_layer_input": (0,),
    "num_kv_shared_layers": (0,),
    "use_double_wide_mlp": (False,),
    "enable_moe_block": (True,),
    "attention_k_eq_v": (True,),
}
"""Of the whole file and of the language model's part: what transformers' class has one way of, besides
null."""
_READ = ("attention_bias", "sliding_window", "layer_types", "num_experts", "final_logit_softcapping")


def _refuse_unimplemented(config: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    """Refuse fields that transformers' class has no code for. Raises ``UnsupportedArchitecture``."""
    refuse_variants(config, _WHOLE)
    refuse_unimplemented(text, _TEXT, reads=_READ, within="text_config.")
    cap = text.get("final_logit_softcapping", 30.0)
    if type(cap) not in (int, float) or not 0 < cap < float("inf"):
        raise UnsupportedArchitecture(
            f"config.json: text_config.final_logit_softcapping is {reprlib.repr(cap)}, and transformers' "
            "class caps logits always; give the cap that the model was trained with, a number above 0"
        )


def _check_experts(text: Mapping[str, Any]) -> None:
    """Refuse a model without experts, and one whose tokens choose more than there are."""
    if not text.get("num_experts"):
        raise UnsupportedArchitecture(
            f"config.json: text_config.num_experts is {text.get('num_experts')!r}, and transformers' class "
            "has experts in every layer; take a model that has them"
        )
    experts, chosen = integer(text, "num_experts"), integer(text, "top_k_experts")
    if chosen > experts:
        raise CheckpointError(
            f"config.json: text_config.top_k_experts is {chosen} of {experts} experts; it must be at most "
            "num_experts"
        )


def _window(text: Mapping[str, Any]) -> int:
    """Columns that a sliding layer sees; where it looks both ways, half of them lie before it."""
    window = integer(text, "sliding_window")
    return window // 2 + 1 if text.get("use_bidirectional_attention") == "all" else window


def _layers(text: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The attention of each layer. The last one sees all, whatever is said of it, as in transformers."""
    count = integer(text, "num_hidden_layers")
    kinds = text.get("layer_types")
    if kinds is None:
        kinds = [_SLIDING if (index + 1) % _PATTERN else _FULL for index in range(count)]
    known = isinstance(kinds, list) and all(each in (_SLIDING, _FULL) for each in kinds)
    if not known or len(kinds) != count:
        raise UnsupportedArchitecture(
            f"config.json: text_config.layer_types is {reprlib.repr(kinds)}; there must be num_hidden_layers "
            f"({count}) of them, each {_SLIDING} or {_FULL}"
        )
    kinds = [*kinds[:-1], _FULL]
    heads = integer(text, "num_attention_heads")
    return tuple(_layer(text, index, kind, heads) for index, kind in enumerate(kinds))


def _layer(text: Mapping[str, Any], index: int, kind: str, heads: int) -> Layer:
    own = _overrides(text, index, kind)
    shared = integer({**text, **own}, "num_key_value_heads")
    if heads % shared:
        raise CheckpointError(
            f"config.json: text_config.num_attention_heads ({heads}) is no multiple of the "
            f"num_key_value_heads ({shared}) of layer {index}; correct it"
        )
    return Layer(
        n_kv_heads=shared,
        head_dim=integer({"head_dim": 256, **text, **own}, "head_dim"),
        slides=kind == _SLIDING,
    )


def _overrides(text: Mapping[str, Any], index: int, kind: str) -> Mapping[str, Any]:
    """What the layer has otherwise than the rest, as either spelling of the file says it.

    transformers writes ``per_layer_config``, by the numbers of layers; published files have
    ``global_head_dim`` and ``num_global_key_value_heads`` for the layers that see all.
    """
    told = text.get("per_layer_config")
    if told is not None:
        if not isinstance(told, Mapping) or not all(isinstance(each, Mapping) for each in told.values()):
            raise CheckpointError(
                f"config.json: text_config.per_layer_config is {reprlib.repr(told)}; it must hold the fields "
                "of layers by their numbers"
            )
        own: Mapping[str, Any] = told.get(str(index), told.get(index, {}))
        return own
    if kind == _SLIDING:
        return {}
    shared = text.get("num_global_key_value_heads")
    return {
        "head_dim": text.get("global_head_dim", 512),
        **({} if shared is None else {"num_key_value_heads": shared}),
    }
