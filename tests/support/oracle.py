"""A plain LLaDA network and plain cached decoding, sharing no code with the runtime.

Written from the published description: one row, separate projections, keys and values in Python lists,
confidences in float64. Slow and short; the fast path must agree with it token for token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

KeysValues = list[tuple[Tensor, Tensor]]


class PlainNetwork:
    """Logits of one row: ``[T]`` ids at given positions against given keys, all in float32."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")

    def __call__(self, ids: list[int], first: int, known: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Logits ``[T, V]`` of ``ids`` at columns ``first …``, and all keys and values after this call.

        ``known`` holds every layer's keys and values of the whole canvas; those of the columns computed here
        are replaced, in a copy.
        """
        c, w = self.config, self.weights
        x = w["model.transformer.wte.weight"][torch.tensor(ids)]
        kept: KeysValues = []
        for n in range(c["n_layers"]):
            name = f"model.transformer.blocks.{n}."
            a = self._norm(x, w[name + "attn_norm.weight"])
            q, k, v = (self._heads(a @ w[f"{name}{p}_proj.weight"].T) for p in "qkv")
            q, k = self._rotate(q, first), self._rotate(k, first)
            if known is not None:
                k, v = self._replaced(known[n][0], k, first), self._replaced(known[n][1], v, first)
            kept.append((k, v))
            groups = q.shape[0] // k.shape[0]
            scores = q @ k.repeat_interleave(groups, 0).transpose(1, 2) / q.shape[-1] ** 0.5
            mixed = scores.softmax(-1) @ v.repeat_interleave(groups, 0)
            x = x + mixed.transpose(0, 1).flatten(1) @ w[name + "attn_out.weight"].T
            f = self._norm(x, w[name + "ff_norm.weight"])
            gate = torch.nn.functional.silu(f @ w[name + "ff_proj.weight"].T)
            x = x + (gate * (f @ w[name + "up_proj.weight"].T)) @ w[name + "ff_out.weight"].T
        x = self._norm(x, w["model.transformer.ln_f.weight"])
        return x @ w["model.transformer.ff_out.weight"].T, kept

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"]).sqrt() * weight

    def _heads(self, x: Tensor) -> Tensor:
        width = self.config["d_model"] // self.config["n_heads"]
        return x.view(x.shape[0], -1, width).transpose(0, 1)

    def _rotate(self, x: Tensor, first: int) -> Tensor:
        half = x.shape[-1] // 2
        rates = self.config["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(first, first + x.shape[1], dtype=torch.float64)[:, None] * rates
        cos, sin = angles.cos().float(), angles.sin().float()
        low, high = x[..., :half], x[..., half:]
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)

    @staticmethod
    def _replaced(old: Tensor, new: Tensor, first: int) -> Tensor:
        whole = old.clone()
        whole[:, first : first + new.shape[1]] = new
        return whole


@dataclass(frozen=True, kw_only=True)
class Request:
    prompt: list[int]
    cache: str  # "none", "prefix" or "dual"
    gen_length: int
    block_length: int
    steps: int | None = None
    threshold: float | None = None
    factor: float | None = None
    early_stop: bool = False


def decode(network: PlainNetwork, request: Request) -> tuple[list[int], int]:
    """``(canvas, nfe)`` of one request, greedy, by Fast-dLLM's rules."""
    mask = network.config["mask_token_id"]
    x = request.prompt + [mask] * request.gen_length
    nfe = 0
    for start in range(len(request.prompt), len(x), request.block_length):
        end = min(start + request.block_length, len(x))
        known: KeysValues | None = None
        step = 0
        while mask in x[start:end]:
            nfe += 1
            if known is None:
                logits, found = network(x, 0, None)
                logits = logits[start:end]
                known = None if request.cache == "none" else found
            else:
                stop = len(x) if request.cache == "prefix" else end
                logits, _ = network(x[start:stop], start, known)
                logits = logits[: end - start]
            _commit(request, x, logits, start, end, step, mask)
            step += 1
            if request.early_stop and _stop(x, len(request.prompt), mask, network.config["eos_token_id"]):
                return x, nfe
    return x, nfe


def _commit(
    request: Request, x: list[int], logits: Tensor, start: int, end: int, step: int, mask: int
) -> None:
    logits = logits.double()
    logits[:, mask] = -torch.inf
    probabilities = logits.softmax(-1)
    best = [(float(probabilities[c - start].max()), c) for c in range(start, end) if x[c] == mask]
    best.sort(key=lambda pair: (-pair[0], pair[1]))
    for _, column in best[: _count(request, [pair[0] for pair in best], end - start, step)]:
        x[column] = int(logits[column - start].argmax())


def _count(request: Request, confidence: list[float], width: int, step: int) -> int:
    if request.factor is not None:
        n = 1
        while n < len(confidence) and confidence[n] >= 1 - request.factor / (n + 2):
            n += 1
        return len(confidence) if n == len(confidence) - 1 else n
    if request.threshold is not None:
        return max(1, sum(c >= request.threshold for c in confidence))
    blocks = -(-request.gen_length // request.block_length)
    per_block = -(-(request.steps or request.gen_length) // blocks)
    return width // per_block + (step < width % per_block)


def _stop(x: list[int], prompt: int, mask: int, eos: int) -> bool:
    answer = x[prompt:]
    if eos not in answer or mask in answer[: answer.index(eos)]:
        return False
    x[prompt + answer.index(eos) :] = [eos] * (len(answer) - answer.index(eos))
    return True
