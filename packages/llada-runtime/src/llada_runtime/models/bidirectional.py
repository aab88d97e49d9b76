"""A transformer whose columns all attend to each other, whole canvases of it."""

from __future__ import annotations

import torch
from torch import Tensor

from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.transformer import Transformer

__all__ = ["Bidirectional"]


class Bidirectional(Transformer):
    """A transformer that can be called with ids, as the published models of LLaDA's kind are."""

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
