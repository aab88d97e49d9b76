"""Which experts work on a column, and how much each of them counts.

Everything here is float32, whatever the network computes in: two experts' scores often differ by little.
Where a process lets torch multiply float32 with fewer bits (`precision`), so does the product here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llada_runtime.network.linear import Linear
from llada_runtime.network.shape import Experts

__all__ = ["Router", "choose"]

_TINY = 1e-20  # beside the sum that scores are divided by, as published for LLaDA2; changes no other sum


class Router(nn.Module):
    """One layer's: a product that gives each expert a number, and what `choose` makes of these."""

    def __init__(self, experts: Experts, width: int, *, device: torch.device) -> None:
        super().__init__()
        self._experts = experts
        self.product = _Unrounded(experts.count, width, device=device, dtype=torch.float32)
        self.bias: nn.Parameter | None = None
        if experts.bias:
            added = torch.empty(experts.count, device=device, dtype=torch.float32)
            self.bias = nn.Parameter(added, requires_grad=False)

    def tensors(self) -> dict[str, Tensor]:
        """``weight [E, d]`` and, where there is one, ``bias [E]``."""
        named = {"weight": self.product.plain}
        return named if self.bias is None else {**named, "bias": self.bias}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `choose`, for ``x [N, d]`` of any dtype."""
        return choose(self.product(x.float()), self._experts, bias=self.bias)


class _Unrounded(Linear):
    """A product that keeps its weight where those of others are put in eight bits."""

    def quantise(self, kind: str) -> None:
        pass


def choose(products: Tensor, experts: Experts, *, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """How much a column's experts count, float32 ``[N, k]``, and which they are, int64 ``[N, k]``.

    The best come first, of equal ones the lower. On the CPU a column has the same bits in any company.

    Args:
        products: the router's, float32 ``[N, E]``.
        bias: float32 ``[E]``, where experts have one.
    """
    scores = products.softmax(-1) if experts.scores == "softmax" else _sigmoid(products)
    ranked = scores if bias is None else scores + bias
    if experts.bias_counts:
        scores = ranked
    if experts.groups_chosen < experts.groups:
        ranked = _of_the_best_groups(ranked, experts)
    chosen = _best(ranked, experts.chosen)
    weights = scores.gather(1, chosen)
    if experts.renormalised:
        weights = weights / (weights.cumsum(-1)[:, -1:] + _TINY)  # cumsum adds in one order, sum does not
    return weights if experts.scale == 1 else weights * experts.scale, chosen


def _of_the_best_groups(ranked: Tensor, experts: Experts) -> Tensor:
    """``ranked [N, E]``, with minus infinity in all groups but those whose two best have the highest sum."""
    grouped = ranked.unflatten(1, (experts.groups, experts.of_a_group))
    two = grouped.topk(min(2, experts.of_a_group), dim=-1).values
    best = _best(two.sum(-1), experts.groups_chosen)
    kept = torch.zeros_like(grouped[..., 0], dtype=torch.bool).scatter(1, best, True)
    return grouped.masked_fill(~kept[..., None], -torch.inf).flatten(1)


def _best(scores: Tensor, count: int) -> Tensor:
    """Where the ``count`` highest of each row are, the best first; `topk` has no order of equal ones."""
    return torch.sort(scores, dim=-1, descending=True, stable=True).indices[:, :count]


def _sigmoid(x: Tensor) -> Tensor:
    """On the CPU the last bit of torch's own depends on where in the tensor a number is."""
    if x.device.type != "cpu":
        return x.sigmoid()
    return torch.stack((x, torch.zeros_like(x)), dim=-1).softmax(-1)[..., 0]
