"""How sure the network is of a token: its softmax probability under the raw logits, whatever the temperature
and the filters (Fast-dLLM's and LLaDA's rule).

It is computed as ``1 / (1 + rest)``, where ``rest`` is the other tokens' mass relative to this one, in
float32: so confidences close to 1 keep their order, as they would in float64, without a float64 copy of the
logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["probability"]

_ROWS = 1024  # positions whose float32 temporaries exist at a time: bounds them to 1024 · V


def probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Softmax probability of ``tokens [N]`` under ``logits [N, V]``, float64 ``[N]``: the confidence of
    proposals, for rules that judge other tokens by it.

    Ones close to 1 keep their order, as they would by a softmax in float64.
    """
    parts = zip(logits.split(_ROWS), tokens.split(_ROWS), strict=True)
    found = [_probability(*part) for part in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


def _probability(logits: Tensor, tokens: Tensor) -> Tensor:
    if len(logits) == 1:  # of two, as by several threads torch sums a lone row in another order
        return _probability(logits.repeat(2, 1), tokens.repeat(2))[:1]
    index, wide = tokens[:, None], logits.float()
    rest = (wide - wide.gather(-1, index)).exp_()
    rest.scatter_(-1, index, 0.0)
    return rest.sum(-1).double().add_(1.0).reciprocal_()
