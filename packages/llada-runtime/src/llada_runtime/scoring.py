"""How probable tokens are where masks stand, by forwards of whole canvases.

Each position is asked by itself, as a decoder asks at a step: the product over the positions of one forward
is what the network would commit at once with, and no probability of the text as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Ids
from itertools import accumulate, chain

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
    try:
        told = _odds(network, looks, likeliest, shift)
        return [[next(told) for _ in look.columns] for look in looks]
    except Exception as exc:
        if not is_out_of_memory(exc):
            raise
        reason = str(exc)
    # Outside of the clause: an error's frames hold on to the memory that ran out.
    give_back(network.device)
    raise MemoryError(reason)


def _odds(network: Network, looks: Ids[Look], likeliest: int, shift: int) -> Iterator[Odds]:
    """The odds of all looks in their order. They come from the device together: a copy waits for its work."""
    canvases, columns = [look.canvas for look in looks], [look.columns for look in looks]
    tokens = torch.tensor([*chain.from_iterable(look.tokens for look in looks)], device=network.device)
    own = tokens[:, None].split([len(each) for each in columns])
    logs, ids = [], []
    for sure, asked in zip(_told(network, canvases, columns, shift=shift), own, strict=True):
        best, which = sure.topk(min(likeliest, sure.shape[-1] - 1), dim=-1)  # but for the mask's
        logs.append(torch.cat((sure.gather(-1, asked), best), dim=-1))
        ids.append(which)
    for (asked_of, *others), best in zip(torch.cat(logs).tolist(), torch.cat(ids).tolist(), strict=True):
        yield Odds(asked_of, tuple(zip(best, others, strict=True)))


def _told(
    network: Network, canvases: Ids[Ids[int]], columns: Ids[Ids[int]], *, shift: int
) -> Iterator[Tensor]:
    """Of each canvas the natural logs ``[columns, V]``, float32, of what stands in its ``columns``.

    They are ascending; from the first to the last, logits are computed of all. The float32 ones of one canvas
    have memory at a time.
    """
    wanted = [[max(column - shift, 0) for column in each] for each in columns]
    spans = [_span(canvas, heads) for canvas, heads in zip(canvases, wanted, strict=True)]
    layout = Layout.of(spans, device=network.device, merge=network.merges)
    logits = network.logits(layout, None)  # [head columns of all, V]
    starts = accumulate((span.head_width for span in spans), initial=0)
    told_by = zip(starts, spans, wanted, strict=False)
    rows = [start + head - span.head_lo for start, span, heads in told_by for head in heads]
    for places in torch.tensor(rows, device=logits.device).split([len(each) for each in columns]):
        told = logits[places].float()  # [columns, V]
        told[:, network.config.mask_token_id] = -torch.inf  # it is never written
        yield told.log_softmax(-1)


def _span(canvas: Ids[int], heads: Ids[int]) -> Span:
    width = len(canvas)
    return Span(ids=canvas, lo=0, hi=width, length=width, head_lo=heads[0], head_hi=heads[-1] + 1)
