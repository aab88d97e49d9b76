"""What Dream's sampler makes of logits: which tokens may be drawn, and how sure of one the network is.

Source: the published ``generation_utils.py`` of Dream-v0 (``sample_tokens``), which Fast-dLLM's Dream
decoders share. Unlike in the registry's other decoders ``temperature``, ``top_p`` and ``top_k`` belong to the
distribution itself: a position's confidence is told of what they leave, at temperature 0 too. Differences:
probabilities are float32 whatever the model's dtype, and the mask's is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llada_runtime import Filters, probability

__all__ = ["Confidence", "DreamFilters", "Measure"]

Measure = Literal["probability", "margin", "entropy"]

_ROWS = 64  # positions whose float32 temporaries exist at a time: of a whole answer they would be gigabytes
_COLDEST, _HOTTEST = 1e-30, 1e30  # beyond, float32 has no such temperature
_TINY = 1e-10  # added to a probability before its logarithm, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamFilters(Filters):
    """What ``top_p``, and of that ``top_k``, leave of a distribution, in Dream's meaning of the names.

    Attributes:
        top_p: a token is kept while those that are likelier have at most this probability together, so that
            one token more may stay than in nucleus sampling.
        top_k: as likely as the one of this rank, so that tokens which are equally likely stay together.
    """

    def kept(self, logits: Tensor, temperature: float) -> Tensor:
        """Which tokens of ``logits [N, V]`` are left, bool ``[N, V]``; the likeliest is. 0 is no
        temperature."""
        scaled = _scaled(logits, temperature)
        keep = scaled > -torch.inf
        if self.top_p is not None and self.top_p < 1:
            ranked, order = scaled.sort(dim=-1, descending=True, stable=True)
            mass = ranked.double().softmax(-1).cumsum(-1)
            likely = torch.ones_like(keep)
            likely[:, 1:] = mass[:, :-1] <= self.top_p  # what ranks before it
            keep &= torch.empty_like(keep).scatter_(-1, order, likely)
        if self.top_k is not None and self.top_k > 0:
            left = scaled.masked_fill(~keep, -torch.inf)
            keep &= left >= left.topk(min(self.top_k, left.shape[-1])).values[:, -1:]
        return keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How sure the network is of a position, higher being surer.

    Attributes:
        measure: the proposed token's probability; by how much the likeliest token's is above the second's;
            or the negative entropy in nats, which is 0 where one token has everything.
        temperature: by which logits are divided; 0 leaves them.
        filters: what is left of the distribution; None is all of it.
    """

    measure: Measure
    temperature: float = 0.0
    filters: DreamFilters | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the probability under the raw logits, by which the runtime ranks anyway."""
        return self.measure == "probability" and not self.temperature and self.filters is None

    def of(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """The confidence of each of the proposed ``tokens [L]`` under ``logits [L, V]``, float64 ``[L]``."""
        parts = zip(logits.split(_ROWS), tokens.split(_ROWS), strict=True)
        return torch.cat([self._of(*part) for part in parts])

    def _of(self, logits: Tensor, tokens: Tensor) -> Tensor:
        scaled = _scaled(logits, self.temperature)
        if self.filters is not None:
            scaled = scaled.masked_fill(~self.filters.kept(logits, self.temperature), -torch.inf)
        if self.measure == "probability":
            return probability(scaled, tokens)
        sure = scaled.softmax(-1)  # [L, V]
        if self.measure == "margin":
            first, second = sure.topk(2).values.unbind(-1)
            return (first - second).double()
        return (sure * (sure + _TINY).log()).sum(-1).double()


def _scaled(logits: Tensor, temperature: float) -> Tensor:
    """``logits [N, V]`` divided by the temperature if there is one, float32, the highest of a row being 0."""
    wide = logits.float()
    above = wide - wide.amax(-1, keepdim=True)
    return above / min(max(temperature, _COLDEST), _HOTTEST) if temperature else above
