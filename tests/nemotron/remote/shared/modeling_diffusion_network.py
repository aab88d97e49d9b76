"""The network under both tiny models: a pre-norm decoder whose layers can look both ways, and its cache.

A layer whose ``self_attn.diffusion_lm`` is on attends to the whole cache and to the whole call, whatever mask
it is given; one whose flag is off is causal. Generation switches the flag; it is state of the model.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

# Attention classes of training: two copies of a text, noisy and clean, in one row. No use for generation.
TRAINING_PARADIGMS = ("block_diff", "efficient_block_diff", "prefix_bidirectional", "sbd_block_diff")
PARADIGMS = ("bidirectional", "autoregressive", *TRAINING_PARADIGMS)


class KeyValueCache:
    """The keys and values of each layer, ``[B, kv_heads, length, head_dim]`` both."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []

    def get_seq_length(self) -> int:
        return self.layers[0][0].shape[2] if self.layers else 0

    def extended(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What is stored for ``layer`` followed by ``keys`` and ``values``; nothing is stored."""
        if layer >= len(self.layers):
            return keys, values
        old_keys, old_values = self.layers[layer]
        return torch.cat((old_keys, keys), dim=2), torch.cat((old_values, values), dim=2)

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Replace what is stored for ``layer``."""
        self.layers[layer : layer + 1] = [(keys, values)]

    def crop(self, length: int) -> None:
        """Forget every position from ``length`` on."""
        self.layers = [(keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers]


def inverse_frequencies(config: Any, device: torch.device) -> tuple[Tensor, float]:
    """The rotary frequencies, ``[head_dim / 2]``, and the factor on cosine and sine."""
    rope = config.rotary
    theta, width = rope["rope_theta"], config.head_dim
    plain = theta ** -(torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    if rope.get("rope_type", "default") == "default":
        return plain, 1.0
    if rope["rope_type"] != "yarn":
        raise ValueError(f"rope_type {rope['rope_type']!r} is unknown; use 'default' or 'yarn'")

    def bend(turns: float) -> float:
        """The dimension that turns so many times within the original length."""
        length = rope["original_max_position_embeddings"]
        return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(bend(rope.get("beta_fast") or 32)), 0)
    high = min(math.ceil(bend(rope.get("beta_slow") or 1)), width - 1)
    steps = torch.arange(width // 2, device=device, dtype=torch.float32)
    slowed = ((steps - low) / (high - low if high != low else 0.001)).clamp(0, 1)
    return plain * (1 - slowed) + plain / rope["factor"] * slowed, _rotary_factor(rope)


def _rotary_factor(rope: dict[str, Any]) -> float:
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    growth = 0.1 * math.log(rope["factor"]) if rope["factor"] > 1 else 0.0
    over, under = rope.get("mscale"), rope.get("mscale_all_dim")
    return (growth * over + 1) / (growth * under + 1) if over and under else growth + 1


def rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """``states`` ``[B, heads, L, head_dim]`` turned by their positions, first half against second."""
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat((-second, first), dim=-1) * sine


def causal_mask(queries: int, keys: int, attention_mask: Tensor | None, device: torch.device) -> Tensor:
    """Who sees whom, bool ``[B or 1, 1, queries, keys]``: the last query stands at the last key."""
    allowed = torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)[None, None]
    return allowed if attention_mask is None else allowed & attention_mask[:, None, None, -keys:].bool()


def training_mask(queries: int, keys: int, block: int, device: torch.device) -> Tensor:
    """Who sees whom, bool ``[queries, keys]``, where the first half is a noisy copy of the second.

    Noisy positions see their own noisy block and the clean blocks before it; clean ones are causal.
    """
    place = torch.arange(keys, device=device)
    half = keys // 2
    noisy, index = place < half, torch.where(place < half, place, place - half)
    number = index // block
    from_noisy = torch.where(noisy, number == number[:, None], number < number[:, None])
    from_clean = ~noisy & (index <= index[:, None])
    return torch.where(noisy[:, None], from_noisy, from_clean)[-queries:]


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, states: Tensor) -> Tensor:
        wide = states.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(states)


class Attention(nn.Module):
    def __init__(self, config: Any, index: int) -> None:
        super().__init__()
        self.index, self.head_dim = index, config.head_dim
        self.groups = config.num_attention_heads // config.num_key_value_heads
        self.training_block = config.block_size if config.dlm_paradigm in TRAINING_PARADIGMS else None
        self.diffusion_lm = config.dlm_paradigm != "autoregressive"
        wide, shared = (n * self.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q_proj = nn.Linear(config.hidden_size, wide, bias=config.attention_bias)
        self.k_proj = nn.Linear(config.hidden_size, shared, bias=config.attention_bias)
        self.v_proj = nn.Linear(config.hidden_size, shared, bias=config.attention_bias)
        self.o_proj = nn.Linear(wide, config.hidden_size, bias=config.attention_bias)
        if config.has_qk_norm:
            self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
            self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        else:
            self.q_norm = self.k_norm = nn.Identity()

    def heads(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (-1, self.head_dim))

    def mask(self, causal: Tensor, queries: int, keys: int) -> Tensor | None:
        if self.training_block is not None:
            return training_mask(queries, keys, self.training_block, causal.device)
        return None if self.diffusion_lm else causal

    def forward(
        self, states: Tensor, places: tuple[Tensor, ...], causal: Tensor, cache: KeyValueCache, store: bool
    ) -> Tensor:
        cosine, sine, scale = places
        queries = self.q_norm(self.heads(self.q_proj(states))).transpose(1, 2)
        keys = self.k_norm(self.heads(self.k_proj(states))).transpose(1, 2)
        values = self.heads(self.v_proj(states)).transpose(1, 2)
        queries, keys = rotate(queries, cosine, sine) * scale, rotate(keys, cosine, sine)
        keys, values = cache.extended(self.index, keys, values)
        if store:
            cache.store(self.index, keys, values)
        mask = self.mask(causal, queries.shape[2], keys.shape[2])
        keys, values = (part.repeat_interleave(self.groups, dim=1) for part in (keys, values))
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(states)) * self.up_proj(states))


class Layer(nn.Module):
    def __init__(self, config: Any, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, index)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, states: Tensor, *context: Any) -> Tensor:
        states = states + self.self_attn(self.input_layernorm(states), *context)
        return states + self.mlp(self.post_attention_layernorm(states))


class Encoder(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def places(self, position_ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Cosine, sine and query scale of the positions, broadcastable over ``[B, heads, L, head_dim]``."""
        frequencies, factor = inverse_frequencies(self.config, position_ids.device)
        angles = (position_ids[..., None].float() * frequencies).repeat(1, 1, 2)[:, None]
        rope = self.config.rotary
        beta, original = rope.get("llama_4_scaling_beta"), rope.get("original_max_position_embeddings")
        scale = torch.ones_like(angles[..., :1])
        if beta is not None:
            turns = torch.floor(position_ids[:, None, :, None].float() / original)
            scale = 1 + beta * torch.log(1 + turns)
        return (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype), scale.to(dtype)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor | None,
        cache: KeyValueCache,
        store: bool,
    ) -> Tensor:
        past, length = cache.get_seq_length(), input_ids.shape[1]
        if position_ids is None:
            position_ids = torch.arange(past, past + length, device=input_ids.device)[None]
        states = self.embed_tokens(input_ids)
        causal = causal_mask(length, past + length, attention_mask, input_ids.device)
        places = self.places(position_ids, states.dtype)
        for layer in self.layers:
            states = layer(states, places, causal, cache, store)
        return self.norm(states)


class DiffusionModel(PreTrainedModel):
    """``encoder`` and ``diffusion_head``; how text is generated is the subclasses' matter."""

    _supports_sdpa = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.dlm_paradigm not in PARADIGMS:
            raise ValueError(f"dlm_paradigm {config.dlm_paradigm!r} is unknown; use one of {PARADIGMS}")
        self.encoder = Encoder(config)
        self.diffusion_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.mask_token_id = config.mask_token_id
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.embed_tokens

    def switch_diffusion(self, on: bool) -> None:
        """Let every layer look both ways, or make every layer causal."""
        for layer in self.encoder.layers:
            layer.self_attn.diffusion_lm = on

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: KeyValueCache | None = None,
        use_cache: bool = False,
        use_causal_mask: bool = False,
    ) -> CausalLMOutputWithPast:
        """Logits ``[B, L, vocab]`` of ``input_ids`` ``[B, L]``, which stand after what the cache holds.

        ``use_cache`` adds the call to the cache; without it the cache is read and left as it is. A causal
        layer is right-aligned with or without ``use_causal_mask``, and one that looks both ways ignores it.
        """
        cache = KeyValueCache() if past_key_values is None else past_key_values
        states = self.encoder(input_ids, attention_mask, position_ids, cache, use_cache)
        kept = None if past_key_values is None and not use_cache else cache
        return CausalLMOutputWithPast(logits=self.diffusion_head(states), past_key_values=kept)
