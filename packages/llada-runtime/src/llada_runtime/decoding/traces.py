"""How probable tokens were that have just been chosen, as logarithms: what training by reward needs.

Of a row that takes the likeliest tokens they follow from the confidence, so that nothing is computed for it.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

import torch
from torch import Tensor

from llada_runtime.decoding.proposals import tempered
from llada_runtime.decoding.sequence import Sequence

__all__ = ["by_logits", "traced"]

_ROWS = 64  # positions whose copies of the logits exist at a time


def by_logits(sequence: Sequence) -> bool:
    """Whether the sequence is traced, and the logarithms of what it writes do not follow from the confidence.

    They do where the likeliest token is taken of the logits as they are: that is never so improbable that it
    counts as 0.
    """
    return sequence.traced and bool(sequence.temperature or sequence.rescores or sequence.revokes)


def traced(
    sequence: Sequence,
    network: Tensor,
    logits: Tensor,
    offsets: Items[int],
    tokens: Items[int],
    taken: Items[bool],
) -> tuple[list[float], list[float]]:
    """Natural logarithms of the probabilities of ``tokens [N]``: under the network, and as they were drawn.

    Args:
        network: its logits ``[L, V]``, the mask's among them.
        logits: what was made of them and proposed from, ``[L, V]``.
        offsets: rows of both, one a token.
        taken: of a token that a rule has named, which nobody has drawn: its second logarithm is 0.
    """
    places = torch.tensor([list(offsets), list(tokens)], device=logits.device)
    under: list[Tensor] = []
    drawn: list[Tensor] = []
    for rows, of in (part.unbind() for part in places.split(_ROWS, dim=1)):
        plain = network[rows].float()
        plain[:, sequence.mask_id] = -torch.inf
        under.append(_of(plain, of).double())
        if sequence.temperature:
            drawn.append(_of(tempered(logits[rows], sequence.temperature, sequence.filters), of))
    both = torch.stack(
        [torch.cat(part) for part in (under, drawn) if part]
    ).tolist()  # one copy from the card
    logs, drawn_logs = both if drawn else (both[0], [0.0] * len(tokens))
    return logs, [0.0 if was_taken else log for log, was_taken in zip(drawn_logs, taken, strict=True)]


def _of(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-softmax of ``logits [N, V]`` at ``tokens [N]``."""
    return logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
