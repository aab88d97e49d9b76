"""Classifier-free guidance, as LLaDA has it: a second canvas whose prompt is masked, in the same forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_runtime import Canvases, NoCache, Plan, Policy, Sequence

__all__ = ["Guided", "guided"]


@dataclass(frozen=True)
class Guided(NoCache):
    """Every forward covers the whole canvas twice: as it is, and with all that was given masked.

    So the second one knows how long the prompt is, and nothing else of it; what has been generated stands in
    both. The logits are ``u + (scale + 1) · (c - u)`` of theirs, c and u, in the model's dtype. A forward of
    both counts once.

    Source: LLaDA (arXiv 2502.09992; ML-GSAI/LLaDA @ b7e6c35, ``generate.py``).
    """

    scale: float

    def plan(self, sequence: Sequence) -> Plan:
        mask = sequence.mask_id
        hidden = (mask if sequence.is_given(at) else token for at, token in enumerate(sequence.canvas))
        return Plan(lo=0, hi=sequence.length, canvases=(tuple(hidden),))

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        parts = logits.split_with_sizes([row.width for row in rows for _ in range(row.count)])
        if len({_scale(row) for row in rows}) == 1:
            return _away(torch.cat(parts[::2]), torch.cat(parts[1::2]), _scale(rows[0]))
        pairs = zip(parts[::2], parts[1::2], rows, strict=True)
        return torch.cat([_away(with_prompt, without, _scale(row)) for with_prompt, without, row in pairs])


def _scale(row: Canvases) -> float:
    assert isinstance(row.policy, Guided)
    return row.policy.scale


def _away(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """In the dtype of the logits, as upstream: so the scale is a number, and no tensor of another dtype."""
    return unconditional + (scale + 1) * (conditional - unconditional)


def guided(params: Mapping[str, Any]) -> Policy:
    """The policy for the ``cfg_scale`` of effective ``params``: without a cache, as upstream has it."""
    return Guided(params["cfg_scale"]) if params.get("cfg_scale") else NoCache()
