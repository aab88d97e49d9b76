"""How the weights of a network are split between ranks. This module does not know torch.

Heads, the channels inside the MLP and the rows of the head are dealt out evenly, so that a layer needs two
sums over the ranks: behind the attention and behind the MLP (Megatron-LM, arXiv 1909.08053). Norms are whole
at every rank, and so is the embedding, of which a forward reads a few rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import gcd

from llada_core.errors import UsageError
from llada_runtime.network.shape import Shape

__all__ = ["Cut", "Piece", "Split"]


class Cut(Enum):
    """What a rank has of a weight ``[out, in]``.

    Attributes:
        WHOLE: all of it.
        ROWS: some outputs, and their bias.
        COLUMNS: what some inputs contribute to every output; its bias is whole.
    """

    WHOLE = None
    ROWS = 0
    COLUMNS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The ``index``-th of ``count`` equal parts of a tensor along ``dim``."""

    dim: int
    index: int
    count: int

    def whole(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the tensor whose piece has ``shape``."""
        return tuple(size * self.count if dim == self.dim else size for dim, size in enumerate(shape))

    def slices(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Where a piece of ``shape`` is in its tensor."""
        size = shape[self.dim]
        return (slice(None),) * self.dim + (slice(self.index * size, (self.index + 1) * size),)

    def offsets(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Where a piece of ``shape`` begins in its tensor, for each dimension."""
        return tuple(self.index * size if dim == self.dim else 0 for dim, size in enumerate(shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One of ``size`` ranks: its number, from 0 on, of which 0 is the one that decodes."""

    rank: int
    size: int

    def part(self, shape: Shape) -> Shape:
        """The numbers of the layers at one rank.

        Raises:
            UsageError: one of them cannot be divided by ``size``, or layers have experts.
        """
        if shape.experts is not None and self.size > 1:
            raise UsageError(
                f"tensor_parallel={self.size} splits no network whose layers have experts, and this one's "
                f"have {shape.experts.count}; leave tensor_parallel out"
            )
        numbers = {
            "heads": shape.n_heads,
            "heads of keys and values": shape.n_kv_heads,
            "channels of the MLP": shape.mlp_width,
            "tokens of the vocabulary": shape.vocabulary,
        }
        for what, number in numbers.items():
            if number % self.size:
                most = gcd(*numbers.values())
                able = [str(size) for size in range(1, min(most, 64) + 1) if most % size == 0]
                raise UsageError(
                    f"tensor_parallel={self.size} does not divide the model's {number} {what}; "
                    f"give one of {', '.join(able)}"
                )
        return replace(
            shape,
            n_heads=shape.n_heads // self.size,
            n_kv_heads=shape.n_kv_heads // self.size,
            mlp_width=shape.mlp_width // self.size,
        )

    def parameter_count(self, shape: Shape) -> int:
        """Number of weights at one rank, of a network of ``shape``. Raises as ``part``."""
        part = self.part(shape)
        elsewhere = 0 if shape.tied else shape.vocabulary * (self.size - 1) // self.size * shape.width
        return part.parameter_count - elsewhere

    def piece(self, cut: Cut, dims: int) -> Piece | None:
        """What this rank has of a tensor of ``dims`` dimensions; None is all of it."""
        if cut.value is None or cut.value >= dims:
            return None
        return Piece(dim=cut.value, index=self.rank, count=self.size)
