"""From logits to proposals: for every open position a token and how sure the network is of it.

The confidence of a token is its softmax probability under the raw logits, whatever the temperature
(Fast-dLLM's and LLaDA's rule). It is computed as ``1 / (1 + rest)``, where ``rest`` is the other tokens'
mass relative to this one, in float32: so confidences close to 1 keep their order, as they would in
float64, without a float64 copy of the logits.
"""

from __future__ import annotations

from collections.abc import Sequence as Sequence_
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_core.errors import NumericalError
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Proposals", "propose"]

_GUMBEL_ROWS = 64  # positions drawn at a time: bounds the float64 temporaries to 64 · V


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Proposals for the targets of R sequences (their blocks, mostly), on the CPU, padded to the widest L.

    Attributes:
        tokens: int64 ``[R, L]``.
        confidence: float64 ``[R, L]``, the probability of the token.
        scores: float64 ``[R, L]``, what the rules rank by: the confidence, or chance where a sequence asks
            for a random order; -1 where not open.
        open: bool ``[R, L]``; False on tokens that stand and beyond a narrower row.
    """

    tokens: Tensor
    confidence: Tensor
    scores: Tensor
    open: Tensor


def propose(logits: Tensor, sequences: Sequence_[Sequence], targets: Sequence_[tuple[int, int]]) -> Proposals:
    """Proposals from the logits ``[sum of widths, V]`` that decide the sequences' columns ``targets``.

    The mask token is never proposed: its logit is set to -inf, in place, before anything else.

    Raises:
        NumericalError: a logit is NaN.
    """
    widths = [hi - lo for lo, hi in targets]
    open_ = _open(sequences, targets)
    logits[:, sequences[0].mask_id] = -torch.inf
    if any(sequence.rule.rescores for sequence in sequences):
        logits = logits.float()
        for row, block in enumerate(logits.split(widths)):
            sequences[row].rule.rescore(sequences[row], block, open_[row, : widths[row]].to(block.device))
    tokens = logits.argmax(-1)
    for row, part, block in zip(range(len(widths)), tokens.split(widths), logits.split(widths), strict=True):
        if sequences[row].temperature > 0:
            places = open_[row, : widths[row]].nonzero()[:, 0].to(logits.device)
            part[places] = _sample(block[places], sequences[row])
    # Token ids are exact in float64, so that one transfer brings both.
    found = torch.stack((tokens.double(), probability(logits, tokens))).cpu()
    if found.isnan().any():
        raise NumericalError("the network's logits are NaN; load the model in float32 or check its weights")
    ids, confidence = _padded(found, widths)
    scores = _scores(confidence, sequences, open_, logits.device)
    return Proposals(tokens=ids.long(), confidence=confidence, scores=scores, open=open_)


def probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Softmax probability of ``tokens [N]`` under ``logits [N, V]``, float64 ``[N]``."""
    index, wide = tokens[:, None], logits.float()
    rest = (wide - wide.gather(-1, index)).exp_()
    rest.scatter_(-1, index, 0.0)
    return rest.sum(-1).double().add_(1.0).reciprocal_()


def _open(sequences: Sequence_[Sequence], targets: Sequence_[tuple[int, int]]) -> Tensor:
    most = max(hi - lo for lo, hi in targets)
    rows = []
    for sequence, (lo, hi) in zip(sequences, targets, strict=True):
        masks = [token == sequence.mask_id for token in sequence.canvas[lo:hi]]
        rows.append(masks + [False] * (most - len(masks)))
    return torch.tensor(rows)


def _padded(found: Tensor, widths: list[int]) -> Tensor:
    """``[2, sum of widths]`` as ``[2, R, L]``, zero beyond a narrower row."""
    if min(widths) == max(widths):
        return found.view(2, len(widths), -1)
    padded = found.new_zeros(2, len(widths), max(widths))
    for row, part in enumerate(found.split(widths, dim=-1)):
        padded[:, row, : widths[row]] = part
    return padded


def _sample(logits: Tensor, sequence: Sequence) -> Tensor:
    """Tokens ``[N]`` drawn at the sequence's temperature: Gumbel-max in float64, as LLaDA does it."""
    generator = sequence.generator(logits.device)
    drawn = []
    for part in logits.split(_GUMBEL_ROWS):
        uniform = torch.rand(part.shape, dtype=torch.float64, device=part.device, generator=generator)
        noise = uniform.log_().neg_().log_().mul_(-sequence.temperature)
        drawn.append(noise.add_(part).argmax(-1))
    return torch.cat(drawn)


def _scores(
    confidence: Tensor, sequences: Sequence_[Sequence], open_: Tensor, device: torch.device
) -> Tensor:
    scores = confidence.clone()
    for row, sequence in enumerate(sequences):
        if sequence.random_order:
            chance = torch.rand(
                int(open_[row].sum()),
                dtype=torch.float64,
                device=device,
                generator=sequence.generator(device),
            )
            scores[row, open_[row]] = chance.cpu()
    return scores.masked_fill_(~open_, -1.0)
