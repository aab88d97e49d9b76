"""How probable tokens are where masks stand, by forwards of whole canvases.

Each position is asked by itself, as a decoder asks at a step: the product over the positions of one forward
is what the network would commit at once with, and no probability of the text as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Ids

import torch
from torch import Tensor

from llada_core.generation.odds import Look, Odds
from llada_runtime.network.layout import Layout
from llada_runtime.network.protocol import Network
from llada_runtime.network.shortage import give_back, is_out_of_memory
from llada_runtime.network.spans import Span

__all__ = ["log_probabilities", "token_odds"]


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
    (sure,) = _told(network, [canvas], [range(*blank)], shift=shift)  # [blank's columns, V]
    places = torch.tensor(candidates, device=sure.device).T  # [blank's columns, candidates]
    found: list[list[float]] = sure.gather(-1, places).T.tolist()
    return found


@torch.inference_mode()
def token_odds(network: Network, looks: Ids[Look], *, likeliest: int = 1, shift: int = 0) -> list[list[Odds]]:
    """The `Odds` of each look's tokens in their order, by one forward of all; ``shift`` as above.

    A look's are those of the look alone. So many of the ``likeliest`` tokens are told, fewer where the
    vocabulary has no more. Raises MemoryError where the device does not hold the forward.
    """
    canvases, columns = [look.canvas for look in looks], [look.columns for look in looks]
    try:
        sure = _told(network, canvases, columns, shift=shift)
        return [_odds(rows, look.tokens, likeliest) for rows, look in zip(sure, looks, strict=True)]
    except Exception as exc:
        if not is_out_of_memory(exc):
            raise
        reason = str(exc)
    # Outside of the clause: an error's frames hold on to the memory that ran out.
    give_back(network.device)
    raise MemoryError(reason)


def _odds(sure: Tensor, tokens: Ids[int], likeliest: int) -> list[Odds]:
    """What ``sure`` ``[columns, V]`` says of one token a column."""
    asked = sure.gather(-1, torch.tensor(tokens, device=sure.device)[:, None])[:, 0].tolist()
    best, ids = sure.topk(min(likeliest, sure.shape[-1] - 1), dim=-1)  # but for the mask's
    rows = zip(asked, best.tolist(), ids.tolist(), strict=True)
    return [Odds(own, tuple(zip(others, logs, strict=True))) for own, logs, others in rows]


def _told(
    network: Network, canvases: Ids[Ids[int]], columns: Ids[Ids[int]], *, shift: int
) -> Iterator[Tensor]:
    """Of each canvas the natural logs ``[columns, V]``, float32, of what stands in its ``columns``.

    They are ascending; from the first to the last, logits are computed of all.
    """
    wanted = [[max(column - shift, 0) for column in each] for each in columns]
    spans = [_span(canvas, heads) for canvas, heads in zip(canvases, wanted, strict=True)]
    layout = Layout.of(spans, device=network.device, merge=network.merges)
    logits = network.logits(layout, None)  # [head columns of all, V]
    first = 0
    for span, heads in zip(spans, wanted, strict=True):
        rows = logits[[first + head - span.head_lo for head in heads]].float()  # [columns, V]
        rows[:, network.config.mask_token_id] = -torch.inf  # it is never written
        yield rows.log_softmax(-1)
        first += span.head_width


def _span(canvas: Ids[int], heads: Ids[int]) -> Span:
    width = len(canvas)
    return Span(ids=canvas, lo=0, hi=width, length=width, head_lo=heads[0], head_hi=heads[-1] + 1)
