"""Block decoding in big batches, to steer training: no cache or dual cache, one token a step or a threshold.

Each row's tokens and forward count are those of the row alone: rows wait for each other at a block's end, but
a row whose block is complete takes part in no forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from network import Cache, Network
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A decoder: `threshold` None commits one token a forward."""

    name: str
    threshold: float | None
    dual_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The ids that decoding needs."""

    mask: int
    eos: int


@dataclass(slots=True)
class Canvas:
    """Left-padded rows: ids [rows, P+G], positions, attention mask [rows, 1, 1, P+G], forwards a row."""

    ids: Tensor
    positions: Tensor
    visible: Tensor
    nfe: Tensor
    prompt_length: int


@torch.inference_mode()
def decode(
    network: Network,
    prompts: list[list[int]],
    setting: Setting,
    tokens: Tokens,
    *,
    gen_length: int = 128,
    block: int = 32,
) -> tuple[Tensor, Tensor]:
    """Answers [rows, gen_length] and forward counts [rows]."""
    canvas = _canvas(network, prompts, tokens, gen_length)
    for lo in range(canvas.prompt_length, canvas.ids.shape[1], block):
        rows = _open_rows(canvas, lo, lo + block, tokens)
        if len(rows):
            _decode_block(network, canvas, rows, lo, lo + block, setting, tokens)
            _stop_at_eos(canvas, tokens)
    return canvas.ids[:, canvas.prompt_length :], canvas.nfe


def _canvas(network: Network, prompts: list[list[int]], tokens: Tokens, gen_length: int) -> Canvas:
    device, longest = network.wte.device, max(map(len, prompts))
    rows = [
        [tokens.eos] * (longest - len(prompt)) + prompt + [tokens.mask] * gen_length for prompt in prompts
    ]
    pad = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
    columns = torch.arange(longest + gen_length, device=device)[None]
    return Canvas(
        ids=torch.tensor(rows, device=device),
        positions=(columns - pad[:, None]).clamp(min=0),
        visible=(columns >= pad[:, None])[:, None, None],
        nfe=torch.zeros(len(prompts), dtype=torch.long, device=device),
        prompt_length=longest,
    )


def _open_rows(canvas: Canvas, lo: int, hi: int, tokens: Tokens) -> Tensor:
    return (canvas.ids[:, lo:hi] == tokens.mask).any(1).nonzero().flatten()


def _decode_block(
    network: Network, canvas: Canvas, rows: Tensor, lo: int, hi: int, setting: Setting, tokens: Tokens
) -> None:
    cache: Cache | None = None
    cached = rows
    while len(rows):
        if cache is None:
            hidden, kv = network(canvas.ids[rows], canvas.positions[rows], canvas.visible[rows])
            hidden = hidden[:, lo:hi]
            cache = kv if setting.dual_cache else None
        else:
            keep = torch.isin(cached, rows)
            cache = [(k[keep], v[keep]) for k, v in cache] if not bool(keep.all()) else cache
            cached = rows
            ids, positions = canvas.ids[rows, lo:hi], canvas.positions[rows, lo:hi]
            columns = torch.arange(lo, hi, device=rows.device).expand(len(rows), -1)
            hidden, _ = network(ids, positions, canvas.visible[rows], cache, columns)
        canvas.nfe[rows] += 1
        canvas.ids[rows, lo:hi] = _commit(
            network.logits(hidden), canvas.ids[rows, lo:hi], setting.threshold, tokens
        )
        _stop_at_eos(canvas, tokens)
        rows = rows[(canvas.ids[rows, lo:hi] == tokens.mask).any(1)]


def _commit(logits: Tensor, current: Tensor, threshold: float | None, tokens: Tokens) -> Tensor:
    logits = logits.float()
    logits[..., tokens.mask] = -torch.inf
    confidence, proposed = logits.softmax(-1).max(-1)
    confidence = confidence.masked_fill(current != tokens.mask, -1.0)
    taken = torch.zeros_like(current, dtype=torch.bool).scatter_(1, confidence.argmax(1, keepdim=True), True)
    if threshold is not None:
        taken |= confidence >= threshold
    return torch.where(taken, proposed, current)


def _stop_at_eos(canvas: Canvas, tokens: Tokens) -> None:
    """Fills a row with EOS once an EOS stands with no mask before it."""
    answer = canvas.ids[:, canvas.prompt_length :]
    is_eos, is_mask = answer == tokens.eos, answer == tokens.mask
    first_eos = torch.where(is_eos.any(1), is_eos.int().argmax(1), answer.shape[1])
    first_mask = torch.where(is_mask.any(1), is_mask.int().argmax(1), answer.shape[1])
    answer[first_eos < first_mask] = torch.where(
        torch.arange(answer.shape[1], device=answer.device) >= first_eos[:, None], tokens.eos, answer
    )[first_eos < first_mask]
