"""What one denoising step does to a block of masks; both tiny models use it.

A mask id that the network predicts is written like any other token: the position stays masked.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sample_next(logits: Tensor, temperature: float) -> Tensor:
    """One token per row of ``logits`` ``[..., vocab]``: the likeliest, or one drawn from the softmax."""
    if temperature == 0:
        return logits.argmax(-1)
    chances = torch.softmax(logits / temperature, dim=-1)
    drawn = torch.multinomial(chances.flatten(0, -2), 1)
    return drawn.view(logits.shape[:-1])


def propose(logits: Tensor, temperature: float) -> Tensor:
    """A token for every position of ``logits`` ``[B, K, vocab]``: argmax, or Gumbel-max in float64."""
    if temperature == 0:
        return logits.argmax(-1)
    wide = logits.double()
    noise = (-torch.log(torch.rand_like(wide))) ** temperature
    return (wide.exp() / noise).argmax(-1)


def quotas(masked: Tensor, steps: int) -> list[list[int]]:
    """How many positions each step commits, ``[steps][B]``: even shares, the remainder to the first steps."""
    counts = masked.sum(-1).tolist()
    return [[count // steps + (step < count % steps) for count in counts] for step in range(steps)]


def denoise(
    block: Tensor,
    logits: Tensor,
    mask_token_id: int,
    *,
    quota: list[int] | None = None,
    threshold: float | None = None,
    temperature: float = 0.0,
) -> None:
    """Write the surest proposals into ``block`` ``[B, K]``, in place.

    With a threshold: the best of each row, and every other whose confidence reaches it. Without: ``quota[b]``
    of row ``b``. Confidence is the softmax of the raw logits, in their own dtype.
    """
    proposed = propose(logits, temperature)
    sure = torch.softmax(logits, dim=-1).gather(-1, proposed[..., None])[..., 0]
    sure = sure.masked_fill(block != mask_token_id, -torch.inf)
    for row in range(block.shape[0]):
        open_positions = int((block[row] == mask_token_id).sum())
        best = sure[row].topk(open_positions if quota is None else quota[row])
        picked = best.indices
        if threshold is not None:
            enough = best.values >= threshold
            enough[:1] = True
            picked = picked[enough]
        block[row, picked] = proposed[row, picked]
