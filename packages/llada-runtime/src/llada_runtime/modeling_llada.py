"""The LLaDA network: the runtime's transformer under the names of LLaDA's checkpoints.

Arithmetic follows the published model (GSAI-ML/LLaDA-8B, ``modeling_llada.py``): no biases, rotary embedding
at full precision, attention over every column without a causal mask.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import choose_device, choose_dtype, fill
from .config import LLaDAConfig
from .layout import Layout, Span
from .transformer import Rotary, Shape, Transformer

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

    def __init__(self, config: LLaDAConfig, *, device: torch.device, dtype: torch.dtype) -> None:
        rotary = Rotary.plain(config.rope_theta, config.head_dim)
        super().__init__(_shape(config), rotary, device=device, dtype=dtype)
        self.config = config

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> LLaDAModel:
        """The checkpoint in ``folder`` (``config.json`` and one or several ``*.safetensors``).

        Args:
            device: where to put the weights; None is the GPU if there is one, else the CPU.
            dtype: what to make of them; None is bfloat16 on a GPU and float32 on the CPU.

        Raises:
            CheckpointError: a file, field or tensor is missing, unknown, damaged or of the wrong shape.
        """
        place = choose_device(device)
        model = cls(LLaDAConfig.from_pretrained(folder), device=place, dtype=choose_dtype(dtype, place))
        fill(model.tensors(), Path(folder))
        return model.pack()

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors(
            _published,
            embedding="model.transformer.wte.weight",
            norm="model.transformer.ln_f.weight",
            head="model.transformer.ff_out.weight",
        )

    @torch.inference_mode()
    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits of a full pass without a cache: ``[B, T]`` int64 ids to ``[B, T, V]``, the model's dtype."""
        rows, length = input_ids.shape
        spans = [
            Span(ids=ids, lo=0, hi=length, length=length, head_lo=0, head_hi=length)
            for ids in input_ids.tolist()
        ]
        layout = Layout.of(spans, device=self.device, cache_length=0, merge=self.merges)
        return self.logits(layout, None).view(rows, length, -1)


def _published(index: int, name: str) -> str:
    part, _, kind = name.partition(".")
    return f"model.transformer.blocks.{index}.{_NAMES[part]}.{kind}"


def _shape(config: LLaDAConfig) -> Shape:
    return Shape(
        width=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        head_dim=config.head_dim,
        mlp_width=config.mlp_hidden_size,
        vocabulary=config.embedding_size,
        eps=config.rms_norm_eps,
        tied=config.weight_tying,
    )
