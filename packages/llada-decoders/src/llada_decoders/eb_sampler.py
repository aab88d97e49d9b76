"""``eb_sampler``: as many tokens a step as their entropies allow together.

Source: Ben-Hamu et al., "Accelerated Sampling from Masked Diffusion Models via Entropy Bounded Unmasking"
(arXiv 2505.24857), as in NEUIR/PC-Sampler @ 8b106b0 (``generate_with_eb_sampler``: the whole answer in one
pool) and Kamichanw/d2Cache @ 72feb60 (``vanilla.py`` with ``gamma``: block by block, other orders, a least
number a step). Differences from them: rows of a batch do not see each other, where d2Cache's running maximum
goes over the rows; entropies are float32 whatever the model's dtype; of equal ones the leftmost goes first;
the mask token is never proposed and counts in no entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import BestFirst, Policy, Proposed, Rule, Sequence, kept_first, rules_of

from .declared.eb_sampler import ALGORITHM, PARAMETERS
from .guidance import guided
from .orders import entropies, of_all, scores_by

__all__ = ["EBSamplerGeneration", "EntropyBudget", "OrderedEntropyBudget", "entropy_budget"]


@dataclass(frozen=True, slots=True)
class EntropyBudget(BestFirst):
    """The positions of least entropy, as long as the entropies of those before are within ``gamma`` nats.

    So the last one taken is free: the joint entropy of the tokens that are written together is at most
    ``gamma`` above its best bound, which is the largest of theirs. ``tokens_per_step`` are taken in any case.
    """

    gamma: float
    tokens_per_step: int = 1

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return scores_by(["entropy"] * len(rows), [row.logits for row in rows])

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """Budget and least number of each row, float64 ``[R, 2]``."""
        rows = [[rule.gamma, rule.tokens_per_step] for rule in rules_of(sequences, cls)]
        return torch.tensor(rows, dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return _within(parameters, -ranked)


@dataclass(frozen=True, slots=True)
class OrderedEntropyBudget(EntropyBudget):
    """`EntropyBudget` in the order of another sureness: by confidence, or one of `ORDERS`.

    The budget is for the entropies before the last one in that order, as in d2Cache; the paper leaves out the
    largest of them, which is never less. ``rule_state`` holds the entropies of the forward.
    """

    order: str = "confidence"

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        logits = [row.logits for row in rows]
        found = scores_by([_order(row) for row in rows], logits)
        spent = of_all(entropies, logits).double().cpu()
        for row, own in zip(rows, spent.split_with_sizes([len(each) for each in logits]), strict=True):
            row.sequence.rule_state = own
        return found

    @classmethod
    def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        spent = torch.zeros(scores.shape, dtype=torch.float64)
        for row, sequence in enumerate(sequences):
            if sequence.rule_state is not None:
                spent[row, : len(sequence.rule_state)] = sequence.rule_state
        order = scores.sort(dim=-1, descending=True, stable=True).indices
        closed = ~open_.gather(-1, order)
        spent = spent.to(scores.device).gather(-1, order).masked_fill(closed, torch.inf)
        counts = _within(cls.parameters(sequences).to(scores.device), spent).clamp(min=1)
        return kept_first(order, counts[:, None], open_)


def _order(row: Proposed) -> str:
    assert isinstance(row.rule, OrderedEntropyBudget)
    return row.rule.order


def _within(parameters: Tensor, spent: Tensor) -> Tensor:
    """How many positions have no more than the budget before them, and the least number; int64 ``[R]``.

    ``spent [R, L]`` are entropies in the order of the rows, infinite where closed.
    """
    before = torch.nn.functional.pad(spent.cumsum(-1)[:, :-1], (1, 0))
    return (before <= parameters[:, :1]).sum(-1).maximum(parameters[:, 1].long())


class EBSamplerGeneration(FastDLLMGeneration):
    """Upstream's samplers: the whole canvas every step, block by block or all in one block."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return guided(params)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return entropy_budget(params)


def entropy_budget(params: Mapping[str, Any]) -> Rule:
    """The rule of effective ``params``."""
    budget, least = params["gamma"], params.get("tokens_per_step", 1)
    order = params.get("order", "entropy")
    if order == "entropy":
        return EntropyBudget(budget, least)
    return OrderedEntropyBudget(budget, least, order)
