"""How probable texts are where masks stand, by one forward of the whole canvas.

Each position is asked by itself, as a decoder asks at its first step: the product over the positions is what
the network would commit at once with, and no probability of the text as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence as Ids

import torch

from llada_runtime.network.layout import Layout
from llada_runtime.network.protocol import Network
from llada_runtime.network.spans import Span

__all__ = ["log_probabilities"]


@torch.inference_mode()
def log_probabilities(
    network: Network,
    canvas: Ids[int],
    blank: tuple[int, int],
    candidates: Ids[Ids[int]],
    *,
    shift: int = 0,
) -> list[list[float]]:
    """Natural log of the probability of each token of each candidate, in its place in the blank.

    Args:
        canvas: ids, the mask's in columns ``blank`` = [lo, hi), of which there is one at least.
        candidates: ids, hi - lo each.
        shift: how many columns before a token its logits are, as of a `Plan`; a column that has none so far
            before it is told of by the first.
    """
    lo, hi = (max(column - shift, 0) for column in blank)
    span = Span(ids=canvas, lo=0, hi=len(canvas), length=len(canvas), head_lo=lo, head_hi=max(hi, lo + 1))
    layout = Layout.of([span], device=network.device, merge=network.merges)
    logits = network.logits(layout, None).float()  # [head columns, V]
    if hi - lo < blank[1] - blank[0]:
        logits = logits[[max(column - shift, 0) - lo for column in range(*blank)]]  # [blank's columns, V]
    logits[:, network.config.mask_token_id] = -torch.inf  # it is never written
    sure = logits.log_softmax(-1)
    places = torch.tensor(candidates, device=sure.device).T  # [blank's columns, candidates]
    found: list[list[float]] = sure.gather(-1, places).T.tolist()
    return found
