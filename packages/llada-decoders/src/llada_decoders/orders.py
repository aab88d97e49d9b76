"""What positions are ranked by besides their token's probability: entropy and margin.

Sources: Dream's ``entropy`` and ``topk_margin``, and LLaDA with them in NEUIR/PC-Sampler @ 8b106b0 and
Kamichanw/d2Cache @ 72feb60. There a small number is added inside the logarithm, which orders nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["ORDERS", "entropies", "margins", "of_all", "packed", "parts_of", "scores_by"]

_ROWS = 256  # positions at a time: three float64 [256, V] take no more than the confidences of 1,024 do


def entropies(logits: Tensor) -> Tensor:
    """``-Σ p ln p`` of each position's distribution, in nats: float32 ``[L]`` of ``logits [L, V]``."""
    return torch.cat([_summed(torch.special.entr(p)) for p in _probabilities(logits)])


def margins(logits: Tensor) -> Tensor:
    """By how much the likeliest token is more probable than the second: float32 ``[L]`` of ``[L, V]``."""
    best = torch.cat([p.topk(2).values for p in _probabilities(logits)])
    return best[:, 0] - best[:, 1]


def _summed(terms: Tensor) -> Tensor:
    """The sums of rows ``[N, V]``; of a lone one twice, as by several threads torch adds it up in another
    order."""
    return terms.sum(-1) if len(terms) > 1 else terms.repeat(2, 1).sum(-1)[:1]


def _probabilities(logits: Tensor) -> Iterator[Tensor]:
    return (part.float().softmax(-1) for part in logits.split(_ROWS))


def _sureness(logits: Tensor) -> Tensor:
    return -entropies(logits)


def of_all(measure: Callable[[Tensor], Tensor], rows: list[Tensor]) -> Tensor:
    """What ``measure`` makes of the logits ``[L, V]`` of all rows, ``[N]``, one row after another."""
    return torch.cat([measure(part) for part in packed(rows)])


def packed(rows: list[Tensor]) -> Iterator[Tensor]:
    """The rows' logits ``[L, V]`` in parts of at most `_ROWS` positions, so that no copy of them all is
    made."""
    for part in parts_of([len(row) for row in rows]):
        yield torch.cat([rows[at][lo:hi] for at, lo, hi in part])


def parts_of(widths: list[int]) -> Iterator[list[tuple[int, int, int]]]:
    """Rows of these ``widths`` in parts of at most `_ROWS` positions: the rows of each, and from which of its
    positions to which each row is in it."""
    part: list[tuple[int, int, int]] = []
    free = _ROWS
    for at, width in enumerate(widths):
        for lo in range(0, max(width, 1), _ROWS):
            hi = min(lo + _ROWS, width)
            if part and hi - lo > free:
                yield part
                part, free = [], _ROWS
            part.append((at, lo, hi))
            free -= hi - lo
    yield part


def scores_by(orders: list[str], logits: list[Tensor]) -> list[Tensor | None]:
    """How sure a network is of each position of rows, ``[L]`` of ``logits [L, V]``, each by its own of the
    `ORDERS`; None by any other order."""
    found: list[Tensor | None] = [None] * len(orders)
    for order in ORDERS.keys() & orders:
        rows = [at for at, each in enumerate(orders) if each == order]
        sure = of_all(ORDERS[order], [logits[at] for at in rows])
        parts = sure.split_with_sizes([len(logits[at]) for at in rows])
        for at, part in zip(rows, parts, strict=True):
            found[at] = part
    return found


ORDERS: dict[str, Callable[[Tensor], Tensor]] = {"entropy": _sureness, "margin": margins}
"""How sure a network is of each position, ``[L]`` of ``logits [L, V]``, higher first; a token's probability
is the runtime's own order."""
