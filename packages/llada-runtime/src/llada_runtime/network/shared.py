"""Linear layers of which each rank has a part (see `split`). Without ranks a network has plain ones."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from llada_runtime.network.layer import Layer
from llada_runtime.network.linear import Linear
from llada_runtime.network.ranks import Ranks

__all__ = ["Gathered", "Summed", "join"]


class Summed(nn.Module):
    """A `Linear` of which each rank has the columns of its inputs: the product is the sum over the ranks.

    It is whole at each of them. Residual and bias come in once, by rank 0.
    """

    def __init__(self, inner: Linear, ranks: Ranks) -> None:
        super().__init__()
        self.inner, self._ranks = inner, ranks

    @property
    def in_features(self) -> int:
        return self.inner.in_features

    @property
    def out_features(self) -> int:
        return self.inner.out_features

    @property
    def plain(self) -> Tensor:
        return self.inner.plain

    @property
    def stored(self) -> Tensor:
        return self.inner.stored

    @property
    def scale(self) -> Tensor | None:
        return self.inner.scale

    @property
    def bias(self) -> Tensor | None:
        return self.inner.bias

    def pack(self) -> None:
        """Let go of a bias that is rank 0's to add; the inner layer is packed as every other."""
        if not self._ranks.leads:
            self.inner.bias = None

    def forward(self, x: Tensor) -> Tensor:
        return self._ranks.add_up(self.inner(x))

    def onto(self, x: Tensor, residual: Tensor) -> Tensor:
        part = self.inner.onto(x, residual) if self._ranks.leads else self.inner(x)
        return self._ranks.add_up(part)

    def joined(self, parts: Tensor) -> Tensor:
        own = parts if len(parts) == 1 else parts.sum(0, keepdim=True)
        return self._ranks.add_up(own)


class Gathered(Linear):
    """Each rank has some of the outputs; rank 0 gets them all, ``[N, out · size]``, others their own."""

    def __init__(
        self, out_features: int, in_features: int, *, ranks: Ranks, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__(out_features // ranks.split.size, in_features, device=device, dtype=dtype)
        self._ranks = ranks

    def tie(self, embedding: Tensor) -> None:
        """Use this rank's rows of the ``embedding [V, d]``, as they are."""
        first = self._ranks.split.rank * self.out_features
        rows = embedding.detach()[first : first + self.out_features]
        self.weight = nn.Parameter(rows, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._ranks.gathered(super().forward(x))

    def joined(self, parts: Tensor) -> Tensor:
        (part,) = parts  # its inputs are not split: the kernels' plans see to it
        return self._ranks.gathered(part)[None]


def join(layers: Iterable[nn.Module], ranks: Ranks) -> None:
    """Let the products that are split along their inputs be sums over the ranks."""
    for layer in layers:
        assert isinstance(layer, Layer)
        layer.attention.out = Summed(layer.attention.out, ranks)
        layer.mlp.down = Summed(layer.mlp.down, ranks)
