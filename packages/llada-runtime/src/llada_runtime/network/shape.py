"""The numbers of a transformer. This module does not know torch: memory is estimated from it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llada_core.errors import CheckpointError

__all__ = ["Experts", "Shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """The numbers of a layer in which a few of many MLPs, the experts, work on each column.

    A column's experts are those of the highest scores, of equal ones the lower; their outputs are added up,
    each times its score.

    Attributes:
        count: how many experts a layer has. chosen: how many of them work on one column.
        width: channels inside one expert.
        shared_width: channels inside the MLP that works on every column beside them; 0 where there is none.
        scores: what the router's products become, a softmax over all experts or a sigmoid of each.
        renormalised: the scores of a column's experts are divided by their sum.
        groups: how many equal groups of experts that follow each other there are.
        groups_chosen: a column's experts are of so many groups, those whose two best have the highest sum.
        scale: what scores are multiplied by in the end.
        bias: each expert has a number of its own, added to its score for the choice alone.
        bias_counts: it is added for good: the outputs are multiplied by it too.

    Raises:
        CheckpointError: they contradict each other.
    """

    count: int
    chosen: int
    width: int
    shared_width: int = 0
    scores: Literal["softmax", "sigmoid"] = "softmax"
    renormalised: bool = False
    groups: int = 1
    groups_chosen: int = 1
    scale: float = 1.0
    bias: bool = False
    bias_counts: bool = False

    def __post_init__(self) -> None:
        if self.scores not in ("softmax", "sigmoid"):
            raise CheckpointError(
                f"the scores of experts are {self.scores!r}, and this runtime makes them by 'softmax' or "
                "'sigmoid'; load the model with the engine made for it"
            )
        if not 1 <= self.chosen <= self.count:
            raise CheckpointError(
                f"config.json lets {self.chosen} of {self.count} experts work on a column, and from 1 to "
                f"{self.count} can; {_PUBLISHED}"
            )
        if not 1 <= self.groups_chosen <= self.groups or self.count % self.groups:
            raise CheckpointError(
                f"config.json chooses {self.groups_chosen} of {self.groups} equal groups of {self.count} "
                f"experts, and that cannot be; {_PUBLISHED}"
            )
        if self.chosen > self.groups_chosen * self.of_a_group:
            raise CheckpointError(
                f"config.json lets {self.chosen} experts work on a column, and the {self.groups_chosen} of "
                f"{self.groups} groups that it chooses have {self.groups_chosen * self.of_a_group}; "
                f"{_PUBLISHED}"
            )

    @property
    def of_a_group(self) -> int:
        """Number of experts in one group."""
        return self.count // self.groups


_PUBLISHED = "take the config.json that was published with the weights"


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
        experts: of the layers that have some in the place of the MLP; None where no layer has.
        dense_layers: the layers, from 0 on, that have the MLP all the same.
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
    experts: Experts | None = None
    dense_layers: tuple[int, ...] = ()

    def experts_of(self, layer: int) -> Experts | None:
        """Those of this layer; None where it has the MLP."""
        return None if layer in self.dense_layers else self.experts

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
        qkv = self.query_width + 2 * self.kv_width
        biases = self.qkv_bias * qkv + self.out_bias * self.width
        norms = 2 * self.width + self.qk_norm * 2 * self.head_dim
        matrices = (1 if self.tied else 2) * self.vocabulary * self.width
        return matrices + self.n_layers * (biases + norms) + self.products + self.routing + self.width

    @property
    def products(self) -> int:
        """Number of weights that the layers' linear layers multiply by, but for what chooses experts."""
        return self.width * sum(self._attention + 3 * sum(self._inside(n)) for n in range(self.n_layers))

    @property
    def outputs(self) -> int:
        """Number of outputs of these linear layers."""
        qkv = self.query_width + 2 * self.kv_width
        mlps = (2 * inside + self.width for layer in range(self.n_layers) for inside in self._inside(layer))
        return self.n_layers * (qkv + self.width) + sum(mlps)

    @property
    def routing(self) -> int:
        """Number of weights that choose experts, which are float32 whatever the others are."""
        layers = [experts for layer in range(self.n_layers) if (experts := self.experts_of(layer))]
        return sum(experts.count * (self.width + experts.bias) for experts in layers)

    @property
    def active_products(self) -> int:
        """How many of ``products`` one column is multiplied by: of the experts those that it chooses."""
        idle = 0
        for layer in range(self.n_layers):
            experts = self.experts_of(layer)
            if experts is not None:
                idle += 3 * self.width * experts.width * (experts.count - experts.chosen)
        return self.products - idle

    @property
    def _attention(self) -> int:
        """Outputs and inputs, beside the stream's, of the attention's projections."""
        return 2 * self.query_width + 2 * self.kv_width

    def _inside(self, layer: int) -> list[int]:
        """The channels inside each MLP of a layer."""
        experts = self.experts_of(layer)
        if experts is None:
            return [self.mlp_width]
        return [experts.width] * experts.count + [experts.shared_width] * (experts.shared_width > 0)
