"""The numbers of a transformer. This module does not know torch: memory is estimated from it alone."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers of a network.

    Attributes:
        width: channels of the residual stream, d.
        n_heads, n_kv_heads, head_dim: queries have ``n_heads`` heads of ``head_dim`` channels, keys and
            values ``n_kv_heads``.
        mlp_width: channels inside the MLP.
        vocabulary: rows of the embedding and columns of the logits, V.
        eps: added to the mean square of a norm.
        qk_norm: queries and keys are normalised per head.
        qkv_bias, out_bias: the attention's projections have one.
        tied: the embedding is the head.
    """

    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mlp_width: int
    vocabulary: int
    eps: float
    qk_norm: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    tied: bool = False

    @property
    def query_width(self) -> int:
        """Channels of all queries of a column."""
        return self.n_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Channels of all keys of a column; its values have as many."""
        return self.n_kv_heads * self.head_dim

    @property
    def cached_numbers(self) -> int:
        """Numbers that one column has in a cache of all layers' keys and values."""
        return 2 * self.n_layers * self.kv_width

    @property
    def parameter_count(self) -> int:
        """Number of weights, an embedding and a head that are tied counted once."""
        matrices = (1 if self.tied else 2) * self.vocabulary * self.width
        return matrices + self.n_layers * self._layer_parameters + self.width

    @property
    def layer_products(self) -> int:
        """Number of weights that one layer's linear layers multiply by."""
        qkv = self.query_width + 2 * self.kv_width
        return self.width * (qkv + self.query_width) + 3 * self.width * self.mlp_width

    @property
    def layer_outputs(self) -> int:
        """Number of outputs of one layer's linear layers."""
        return self.query_width + 2 * self.kv_width + 2 * self.mlp_width + 2 * self.width

    @property
    def _layer_parameters(self) -> int:
        qkv = self.query_width + 2 * self.kv_width
        biases = self.qkv_bias * qkv + self.out_bias * self.width
        norms = 2 * self.width + self.qk_norm * 2 * self.head_dim
        return self.layer_products + biases + norms
