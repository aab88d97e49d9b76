"""Which tokens may be drawn at a temperature: ``top_k``, ``top_p`` and ``min_p``.

They come after the temperature, in this order, each on what the one before has left, as in transformers. They
change what is drawn and nothing else: a token's confidence stays its probability under the raw logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from llada_core.parameters import STANDARD

__all__ = ["Filters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a sequence leaves out of the distribution that it draws tokens from; None leaves out nothing.

    Ranges and neutral values are those of the standard parameters. Raises ``ParameterError`` for others.

    Attributes:
        top_k: so many of the likeliest tokens are kept; of equally likely ones the lower ids, as a choice of
            the likeliest has it.
        top_p: of these the likeliest ones that together have this probability, the one that reaches it among
            them (nucleus sampling, arXiv 1904.09751).
        min_p: of these the ones at least so many times as probable as the likeliest (arXiv 2407.01082);
            tokens that are equally likely stay or go together.
    """

    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            STANDARD[name].check(value)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self | None:
        """Those in effective ``params``; None where they leave out nothing."""
        given = {name: params.get(name) for name in ("top_k", "top_p", "min_p")}
        made = cls(**given)
        return None if all(STANDARD[name].is_neutral(value) for name, value in given.items()) else made

    def kept(self, logits: Tensor, temperature: float) -> Tensor:
        """Which tokens of ``logits [N, V]`` may be drawn at ``temperature`` > 0, bool ``[N, V]``.

        The first of the likeliest always may; a token whose logit is -inf never.
        """
        # By the logits themselves: so the first is what a choice of the likeliest takes, also among ties.
        ranked, order = logits.sort(dim=-1, descending=True, stable=True)
        wide = ranked.double()
        odds = (wide - wide[:, :1]).div_(temperature)  # natural log of p / p of the likeliest
        keep = ranked > -torch.inf
        if self.top_k is not None and self.top_k > 0:
            keep[:, self.top_k :] = False
        if self.top_p is not None and self.top_p < 1:
            keep &= _mass_before(odds.masked_fill(~keep, -torch.inf)) < self.top_p
        if self.min_p:
            keep &= odds >= math.log(self.min_p)
        keep[:, 0] = True
        return torch.empty_like(keep).scatter_(-1, order, keep)


def _mass_before(ranked: Tensor) -> Tensor:
    """The probability of all tokens that rank before each one, float64 ``[N, V]``, by logits in descending
    order."""
    mass = ranked.softmax(-1).cumsum(-1)
    return torch.cat((torch.zeros_like(mass[:, :1]), mass[:, :-1]), dim=-1)
