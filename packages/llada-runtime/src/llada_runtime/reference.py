"""Decoding in its plainest form: the oracles that the fast path is tested against.

Both run on a `PlainForward`, which shares a layer's products, norms and rotation with the fast path. `decode`
is Fast-dLLM's ``basic``: one request, one full forward a step, no cache, every rule written out in Python;
rules and source as in `llada_runtime.decoding.rules`, of which it shares nothing. `follow` decodes any
sequence alone: it shares its policy and its rule, the checks of plans, the proposals that are made of logits,
and the sequence's own bookkeeping.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor

from llada_core.generation.model import Model
from llada_runtime.decoding.choice import kept_of
from llada_runtime.decoding.combining import hand_out
from llada_runtime.decoding.proposals import propose
from llada_runtime.decoding.reviewing import review
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.turn import Turn, complete, keep, planned
from llada_runtime.network.cache import Extent
from llada_runtime.network.protocol import Network
from llada_runtime.network.spans import Span
from llada_runtime.plain import PlainForward

__all__ = ["decode", "drawable", "follow"]


def decode(
    model: Network,
    prompt: list[int],
    *,
    gen_length: int,
    block_length: int,
    steps: int | None = None,
    threshold: float | None = None,
    factor: float | None = None,
    temperature: float = 0.0,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    seed: int = 0,
    early_stop: bool = False,
) -> tuple[list[int], int]:
    """``(canvas, nfe)`` of low-confidence decoding; factor wins over threshold, threshold over steps.

    ``steps`` is the number of steps of the whole answer, None meaning ``gen_length``. At temperature 0 the
    likeliest tokens are taken; above it they are drawn from the `drawable` ones. Raises
    ``UnsupportedArchitecture`` as `PlainForward`.
    """
    plain = PlainForward(model)
    source = torch.Generator().manual_seed(seed)

    def choose(logits: Tensor) -> int:
        if temperature == 0:
            return int(logits.argmax())
        uniform = torch.rand(len(logits), dtype=torch.float64, generator=source)
        noisy = logits - temperature * (-uniform.log()).log()
        allowed = drawable(logits.tolist(), temperature, top_p=top_p, top_k=top_k, min_p=min_p)
        return max(allowed, key=lambda token: float(noisy[token]))

    canvas = prompt + [model.config.mask_token_id] * gen_length
    blocks = -(-gen_length // block_length)
    per_block = -(-(steps or gen_length) // blocks)
    nfe = 0
    for start in range(len(prompt), len(canvas), block_length):
        end = min(start + block_length, len(canvas))
        step = 0
        while model.config.mask_token_id in canvas[start:end]:
            nfe += 1
            candidates = _candidates(plain, model.config.mask_token_id, canvas, (start, end), choose)
            if factor is not None:
                keep = _factor(candidates, factor)
            elif threshold is not None:
                keep = max(1, sum(confidence >= threshold for confidence, _, _ in candidates))
            else:
                keep = (end - start) // per_block + (step < (end - start) % per_block)
            for _, column, token in candidates[:keep]:
                canvas[column] = token
            step += 1
            if early_stop and _stopped(model, canvas, len(prompt)):
                return canvas, nfe
    return canvas, nfe


def drawable(
    logits: list[float],
    temperature: float,
    *,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
) -> list[int]:
    """The tokens that may be drawn at ``temperature`` > 0, the likeliest first, of equal ones the lower."""
    best = max(logits)
    odds = [math.exp((logit - best) / temperature) for logit in logits]
    ranked = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    ranked = [token for token in ranked if logits[token] > -math.inf]
    if top_k is not None and top_k > 0:
        ranked = ranked[:top_k]
    if top_p is not None and top_p < 1:
        mass = [0.0, *accumulate(odds[token] for token in ranked)]
        ranked = [token for token, before in zip(ranked, mass, strict=False) if before < top_p * mass[-1]]
    return [token for token in ranked if odds[token] >= (min_p or 0)]


def follow(network: Network, sequence: Sequence) -> tuple[list[int], int]:
    """``(canvas, nfe)`` of ``sequence``, which is in no loop, decoded alone by its own policy and rule.

    Shared with the loop are the checks of plans, the proposals, and the sequence's own bookkeeping. Raises
    ``UnsupportedArchitecture`` as `PlainForward`, what the policy or the rule raises, and ``NoProgress``.
    """
    plain = PlainForward(network)
    extent = Extent(start=0, length=sequence.columns) if sequence.policy.caches else None
    while not sequence.finished:
        with torch.inference_mode():
            turn = planned(sequence, extent, network)
            for fault in hand_out([turn], torch.cat([plain.logits(span) for span in turn.spans])).values():
                raise fault
            if turn.decides:
                _decide(turn)
            complete(turn, network)
    return sequence.canvas, sequence.nfe


def _decide(turn: Turn) -> None:
    """What the turn's rule keeps of its logits, and what it takes back."""
    proposals = propose(turn.deciding.clone(), [turn.sequence], [turn.targets])
    keep([turn], proposals, kept_of([turn.sequence], proposals))
    review([turn], proposals.logits, proposals.faults)
    for fault in proposals.faults.values():
        raise fault


def _candidates(
    plain: PlainForward,
    mask: int,
    canvas: list[int],
    block: tuple[int, int],
    choose: Callable[[Tensor], int],
) -> list[tuple[float, int, int]]:
    """``(confidence, column, token)`` of the masked columns of ``block``, the surest first."""
    width = len(canvas)
    span = Span(ids=canvas, lo=0, hi=width, length=width, head_lo=0, head_hi=width)
    logits = plain.logits(span).double().cpu()
    logits[:, mask] = -torch.inf
    found = []
    for column in range(*block):
        if canvas[column] == mask:
            token = choose(logits[column])
            found.append((float(logits[column].softmax(-1)[token]), column, token))
    return sorted(found, key=lambda candidate: (-candidate[0], candidate[1]))


def _factor(candidates: list[tuple[float, int, int]], factor: float) -> int:
    keep = 1
    while keep < len(candidates) and candidates[keep][0] >= 1 - factor / (keep + 2):
        keep += 1
    return len(candidates) if keep == len(candidates) - 1 else keep


def _stopped(model: Network, canvas: list[int], prompt_length: int) -> bool:
    for column in range(prompt_length, len(canvas)):
        if canvas[column] == model.config.mask_token_id:
            return False
        if canvas[column] in Model.of(model).end_ids:
            canvas[column:] = [canvas[column]] * (len(canvas) - column)
            return True
    return False
