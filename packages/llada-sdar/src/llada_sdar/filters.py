"""What SDAR's sampler leaves of a distribution.

Source: JetAstra/SDAR ``generate.py`` (``sample_with_temperature_topk_topp``): the temperature, ``top_k``,
then ``top_p`` of what that leaves. ``min_p``, which it has not, comes last, as in the runtime's filters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_runtime import Filters

__all__ = ["SDARFilters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SDARFilters(Filters):
    """`Filters` by SDAR's meaning of two names. Probabilities are float64, there in the model's dtype.

    Attributes:
        top_k: tokens at least as likely as the one of this rank are kept, so that equally likely ones stay
            together and more than ``top_k`` may be left.
        top_p: of these a token is kept while those that rank before it have at most this probability
            together, so that one token more may be left than in nucleus sampling.
    """

    def kept(self, logits: Tensor, temperature: float) -> Tensor:
        """Which tokens of ``logits [N, V]`` may be drawn at ``temperature`` > 0, bool ``[N, V]``.

        The first of the likeliest always may; a token whose logit is -inf never.
        """
        ranked, order = logits.sort(dim=-1, descending=True, stable=True)
        wide = ranked.double()
        odds = (wide - wide[:, :1]).div_(temperature)  # natural log of p / p of the likeliest
        keep = ranked > -torch.inf
        if self.top_k is not None and self.top_k > 0:
            last = min(self.top_k, ranked.shape[-1]) - 1
            keep &= ranked >= ranked[:, last : last + 1]
        if self.top_p is not None and self.top_p < 1:
            mass = odds.masked_fill(~keep, -torch.inf).softmax(-1).cumsum(-1)
            keep[:, 1:] &= mass[:, :-1] <= self.top_p
        if self.min_p:
            keep &= odds >= math.log(self.min_p)
        keep[:, 0] = True
        return torch.empty_like(keep).scatter_(-1, order, keep)
