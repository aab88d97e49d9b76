"""The keys and values of a row, of which sliding layers hold their window alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache

__all__ = ["WindowCache"]


class WindowCache(DynamicCache):
    """transformers' own cache, without what its sliding layers keep and never read.

    There the window is a view of all columns of the forward before, which holds the memory of a whole prompt.
    Here it is copied, and the rest is free once the layer has been computed. The numbers are the same.
    """

    @classmethod
    def of(cls, model: Any) -> WindowCache:
        """An empty one for the layers of ``model``, made as the class's ``generate`` makes its own."""
        return cls(config=model.config.get_text_config(decoder=True))

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Take up the new columns; what is returned is what the layer sees now, float ``[1, H, C, D]``."""
        seen: tuple[Tensor, Tensor] = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        layer = self.layers[layer_idx]
        layer.keys, layer.values = _alone(layer.keys), _alone(layer.values)
        return seen


def _alone(kept: Tensor) -> Tensor:
    """The tensor in memory of its own size."""
    return kept if kept.untyped_storage().nbytes() == kept.nbytes else kept.clone()
