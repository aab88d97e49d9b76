"""What positions are ranked by besides their token's probability: entropy and margin.

Sources: Dream's ``entropy`` and ``topk_margin``, and LLaDA with them in NEUIR/PC-Sampler @ 8b106b0 and
Kamichanw/d2Cache @ 72feb60. There a small number is added inside the logarithm, which orders nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["ORDERS", "entropies", "margins"]

_ROWS = 256  # positions whose probabilities exist at a time: bounds the float32 temporaries


def entropies(logits: Tensor) -> Tensor:
    """``-Σ p ln p`` of each position's distribution, in nats: float32 ``[L]`` of ``logits [L, V]``."""
    return torch.cat([torch.special.entr(p).sum(-1) for p in _probabilities(logits)])


def margins(logits: Tensor) -> Tensor:
    """By how much the likeliest token is more probable than the second: float32 ``[L]`` of ``[L, V]``."""
    best = torch.cat([p.topk(2).values for p in _probabilities(logits)])
    return best[:, 0] - best[:, 1]


def _probabilities(logits: Tensor) -> Iterator[Tensor]:
    return (part.float().softmax(-1) for part in logits.split(_ROWS))


def _sureness(logits: Tensor) -> Tensor:
    return -entropies(logits)


ORDERS: dict[str, Callable[[Tensor], Tensor]] = {"entropy": _sureness, "margin": margins}
"""How sure a network is of each position, ``[L]`` of ``logits [L, V]``, higher first; a token's probability
is the runtime's own order."""
