"""How far distributions have moved since the forward before, for all rows by one pass over their logits."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .orders import parts_of

__all__ = ["divergence"]

_EPS = 1e-12  # within logarithms, as published


def divergence(logits: Tensor, before: list[Tensor], widths: list[int]) -> Tensor:
    """How far distributions have moved: KL(now, before) in nats, float64 ``[N]`` of ``logits [N, V]``, which
    are those of several rows one after another, so many (``widths``) of each.

    ``before [K, V]`` of each are the logits of its first K positions, its width at most, a forward ago. Of
    the others nothing is known; their distribution counts as 0 everywhere, from which any other is far.
    """
    parts = [*_parts(before, widths)]
    now = logits.split_with_sizes([sum(width for _, width in part) for part in parts])
    return torch.cat([_moved(*pair) for pair in zip(now, parts, strict=True)])


_Part = list[tuple[Tensor, int]]
"""Of rows the ``before [K, V]`` and the width."""


def _parts(before: list[Tensor], widths: list[int]) -> Iterator[_Part]:
    """The rows in parts of which the distributions exist at a time."""
    for part in parts_of(widths):
        yield [(before[at] if hi - lo == widths[at] else before[at][lo:hi], hi - lo) for at, lo, hi in part]


def _moved(logits: Tensor, part: _Part) -> Tensor:
    """`divergence` of a part, float64 ``[N]``."""
    told: list[Tensor] = []
    unknown: list[bool] = []
    for known, width in part:
        at, missing = len(unknown) + len(known), width - len(known)
        unknown += [False] * len(known) + [True] * missing
        # What nothing is known of is filled with what is there now, and does not count.
        told += [known, logits[at : at + missing]] if missing else [known]
    now, then = logits.double().softmax(-1), torch.cat(told).double().softmax(-1)
    if any(unknown):
        where = torch.tensor(unknown)[:, None].to(then.device, non_blocking=True)
        then.masked_fill_(where, 0.0)
    return _divergence(now, then)


def _divergence(now: Tensor, then: Tensor) -> Tensor:
    """KL of distributions ``[N, V]``; the second is used up."""
    if len(now) == 1:  # of two, as by several threads torch sums a lone row in another order
        return _divergence(now.repeat(2, 1), then.repeat(2, 1))[:1]
    ratio = (now + _EPS).log_().sub_(then.add_(_EPS).log_())
    return ratio.mul_(now).sum(-1)
