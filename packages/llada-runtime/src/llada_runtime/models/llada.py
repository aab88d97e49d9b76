"""The LLaDA network: the runtime's transformer under the names of LLaDA's checkpoints.

Arithmetic follows the published model (GSAI-ML/LLaDA-8B, ``modeling_llada.py``): no biases, rotary embedding
at full precision, attention over every column without a causal mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llada_runtime.models.llada_config import LLaDAConfig
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.rotary import Rotary
from llada_runtime.network.shape import Shape
from llada_runtime.network.transformer import Transformer

__all__ = ["LLaDAModel"]

# Within a block; ``ff_proj`` is the gate.
_NAMES = {
    "attention_norm": "attn_norm",
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "out": "attn_out",
    "mlp_norm": "ff_norm",
    "gate": "ff_proj",
    "up": "up_proj",
    "down": "ff_out",
}


class LLaDAModel(Transformer):
    """A loaded LLaDA checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `LLaDAConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: LLaDAConfig
    config_class = LLaDAConfig

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        root = "model.transformer"
        return self._tensors(
            f"{root}.blocks", _NAMES, embedding=f"{root}.wte", norm=f"{root}.ln_f", head=f"{root}.ff_out"
        )

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits of a full pass without a cache: ``[B, T]`` int64 ids to ``[B, T, V]``, the model's dtype.

        They are the caller's own, to be changed in place in any mode of torch.
        """
        rows, length = input_ids.shape
        spans = [
            Span(ids=ids, lo=0, hi=length, length=length, head_lo=0, head_hi=length)
            for ids in input_ids.tolist()
        ]
        layout = Layout.of(spans, device=self.device, merge=self.merges)
        logits = self.logits(layout, None).view(rows, length, -1)
        return logits if torch.is_inference_mode_enabled() else logits.clone()
