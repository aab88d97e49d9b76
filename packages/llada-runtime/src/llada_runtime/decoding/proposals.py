"""From logits to proposals: for every open position a token and how sure the network is of it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError, NumericalError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.confidence import probability
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.proposed import Proposed
from llada_runtime.decoding.ranking import scores_of, scoring
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.network.noise import noisiest, noisy

__all__ = ["Proposals", "blame_nan", "open_targets", "propose", "tempered"]

_GUMBEL_ROWS = 64  # positions drawn at a time: bounds the float64 temporaries to 64 · V
_HOTTEST = 1e300  # noise that logits cannot be told from; times more, the noise itself would be infinite
_LEAST = torch.finfo(torch.float64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Proposals for the targets of R sequences (their blocks, mostly), on the CPU, padded to the widest L.

    Attributes:
        tokens: int64 ``[R, L]``.
        confidence: float64 ``[R, L]``, the probability of the token.
        scores: float64 ``[R, L]``, what the rules rank by: the confidence, the rule's own score, or chance
            where a sequence asks for a random order; -inf where not open.
        open: bool ``[R, L]``; False on tokens that stand and beyond a narrower row.
        logits: each row's ``[L, V]``, with what its rule made of them, on the network's device.
        faults: by row, what its rule raised or is wrong with its logits. The rest says nothing of such a row.
    """

    tokens: Tensor
    confidence: Tensor
    scores: Tensor
    open: Tensor
    logits: tuple[Tensor, ...]
    faults: dict[int, Exception]


def propose(logits: Tensor, sequences: list[Sequence], targets: list[tuple[int, int]]) -> Proposals:
    """Proposals from the logits ``[sum of widths, V]`` that decide the sequences' columns ``targets``.

    The mask token is never proposed: its logit is set to -inf, in place, before anything else.
    """
    widths = [hi - lo for lo, hi in targets]
    open_ = open_targets(sequences, targets)
    faults: dict[int, Exception] = {}
    logits[:, sequences[0].mask_id] = -torch.inf
    if any(sequence.rescores for sequence in sequences):
        logits = logits.float()
        _rescore(logits, sequences, widths, open_, faults)
        logits[:, sequences[0].mask_id] = -torch.inf  # whatever the rules made of it
    tokens = logits.argmax(-1)
    blocks, parts = logits.split_with_sizes(widths), tokens.split_with_sizes(widths)
    _draw(parts, blocks, sequences, open_, faults)
    # Token ids are exact in float64, so that one transfer brings both.
    sure = probability(logits, tokens)
    ids, confidence = _padded(torch.stack((tokens.double(), sure)).cpu(), widths)
    blame_nan(confidence, sequences, faults)
    _show(sequences, targets, open_, blocks, parts, faults)
    rows = _proposed(sequences, blocks, parts, sure, faults)
    scores = scores_of(sequences, rows, logits.device, confidence, open_, faults)
    return Proposals(
        tokens=ids.long(), confidence=confidence, scores=scores, open=open_, logits=blocks, faults=faults
    )


def _why_nan(sequence: Sequence) -> str:
    if sequence.rescores:
        name = type(sequence.rule).__name__
        return f"the logits are NaN after {name}.rescore; let it write finite numbers, or -inf"
    return "the network's logits are NaN; load the model in float32 or check its weights"


def blame_nan(confidence: Tensor, sequences: list[Sequence], faults: dict[int, Exception]) -> None:
    """Add to ``faults`` the rows of ``confidence [R, L]`` that hold a NaN: their logits did."""
    for row, is_nan in enumerate(confidence.isnan().any(-1).tolist()):
        if is_nan:
            faults.setdefault(row, NumericalError(_why_nan(sequences[row])))


def open_targets(sequences: list[Sequence], targets: list[tuple[int, int]]) -> Tensor:
    """Which of the targets are masks, bool ``[R, L]``."""
    most = max(hi - lo for lo, hi in targets)
    ids = array("q")  # which becomes a tensor several times as fast as lists do
    for sequence, (lo, hi) in zip(sequences, targets, strict=True):
        ids.extend(sequence.canvas[lo:hi])
        ids.extend(repeat(-1, most - (hi - lo)))
    return torch.frombuffer(ids, dtype=torch.int64).view(-1, most) == sequences[0].mask_id


def _rescore(
    logits: Tensor,
    sequences: list[Sequence],
    widths: list[int],
    open_: Tensor,
    faults: dict[int, Exception],
) -> None:
    """Let the rules change their rows' logits, float32 ``[sum of widths, V]``, in place."""
    for row, block in enumerate(logits.split(widths)):
        if not sequences[row].rescores:
            continue
        try:
            rule: Any = sequences[row].rule
            made = rule.rescore(sequences[row], block, open_[row, : widths[row]].to(block.device))
            if made is not None:
                raise ContractError(
                    f"{type(rule).__name__}.rescore returned {told(made)}, which nobody reads; "
                    "change the logits in place, and return nothing"
                )
        except BaseException as exc:  # a rule may raise anything; it is its row's fault
            faults[row] = fault_of(exc)


def _draw(
    tokens: tuple[Tensor, ...],
    logits: tuple[Tensor, ...],
    sequences: list[Sequence],
    open_: Tensor,
    faults: dict[int, Exception],
) -> None:
    """Draw the open tokens of the rows that have a temperature, in place."""
    for row, sequence in enumerate(sequences):
        if sequence.temperature != 0:
            part, block = tokens[row], logits[row]
            try:
                places = open_[row, : len(part)].nonzero()[:, 0].to(block.device, non_blocking=True)
                part[places] = _sample(block[places], sequence)
            except BaseException as exc:  # as for a seed that no generator takes
                faults.setdefault(row, fault_of(exc))


def _padded(found: Tensor, widths: list[int]) -> Tensor:
    """``[2, sum of widths]`` as ``[2, R, L]``, zero beyond a narrower row."""
    if min(widths) == max(widths):
        return found.view(2, len(widths), -1)
    padded = found.new_zeros(2, len(widths), max(widths))
    for row, part in enumerate(found.split(widths, dim=-1)):
        padded[:, row, : widths[row]] = part
    return padded


def _sample(logits: Tensor, sequence: Sequence) -> Tensor:
    """Tokens ``[N]`` drawn at the sequence's temperature: Gumbel-max in float64, as LLaDA does it.

    The noise is the same whatever the filters: what they leave is drawn where it would be without them.
    """
    generator = sequence.generator(logits.device)
    temperature = min(sequence.temperature, _HOTTEST)
    drawn = []
    for part in logits.split(_GUMBEL_ROWS):
        uniform = torch.rand(part.shape, dtype=torch.float64, device=part.device, generator=generator)
        if sequence.filters is None:
            drawn.append(noisiest(part, uniform, temperature))
            continue
        kept = sequence.filters.kept(part, temperature)
        # Clamped, as a draw of exactly 0 makes a noise of -inf, which may not lose to what is left out.
        sums = noisy(part, uniform, temperature).clamp_(min=_LEAST).masked_fill_(~kept, -torch.inf)
        drawn.append(sums.argmax(-1))
    return torch.cat(drawn)


def tempered(logits: Tensor, temperature: float | Tensor, filters: Filters | None = None) -> Tensor:
    """What the softmax is of, from which is drawn at a temperature above 0, float64 ``[N, V]``: the
    ``logits [N, V]`` by temperature, 0 for the likeliest, and those that the filters leave out at -inf.

    The temperature is that of all, or without filters float64 ``[N, 1]``.
    """
    wide = logits.double()
    wide = wide.sub(wide.amax(-1, keepdim=True))
    if isinstance(temperature, Tensor):
        assert filters is None, "filters are of one temperature"
        return wide.div_(temperature.clamp(max=_HOTTEST))
    temperature = min(temperature, _HOTTEST)
    wide.div_(temperature)
    if filters is not None:
        wide.masked_fill_(~filters.kept(logits, temperature), -torch.inf)
    return wide


def _show(
    sequences: list[Sequence],
    targets: list[tuple[int, int]],
    open_: Tensor,
    logits: tuple[Tensor, ...],
    tokens: tuple[Tensor, ...],
    faults: dict[int, Exception],
) -> None:
    """Let the policies see what is proposed that want to; what is behind a block that they end is closed, in
    place."""
    for row, sequence in enumerate(sequences):
        if row in faults:
            continue
        try:
            end = sequence.block_end
            if sequence.policy.sees_proposals(sequence):
                sequence.policy.proposed(sequence, logits[row], tokens[row])
            if sequence.block_end != end:
                open_[row, max(sequence.block_end - targets[row][0], 0) :] = False
        except BaseException as exc:  # a policy may raise anything; it is its row's fault
            faults[row] = fault_of(exc)


def _proposed(
    sequences: list[Sequence],
    logits: tuple[Tensor, ...],
    tokens: tuple[Tensor, ...],
    sure: Tensor,
    faults: dict[int, Exception],
) -> dict[int, Proposed]:
    """What is proposed for the rows whose rules are asked for scores; ``sure [sum of L]`` is how sure the
    network is of all tokens."""
    asked = scoring(sequences, faults)
    if not asked:
        return {}
    parts = sure.split_with_sizes([len(part) for part in tokens])
    return {
        at: Proposed(
            rule=sequences[at].rule,
            sequence=sequences[at],
            logits=logits[at],
            tokens=tokens[at],
            confidence=parts[at],
        )
        for at in asked
    }
