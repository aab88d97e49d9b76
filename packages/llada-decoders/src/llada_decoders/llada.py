"""``llada``: the sampler that LLaDA was published with.

Source: LLaDA (arXiv 2502.09992; ML-GSAI/LLaDA @ b7e6c35, ``generate.py``); the orders by entropy and margin
are those of NEUIR/PC-Sampler @ 8b106b0 and Kamichanw/d2Cache @ 72feb60. Differences from them: what LLaDA
leaves to chance or error among equal confidences goes from left to right; ``confidence_eos_eot_inf`` does at
every temperature what it does at 0, where upstream loses half of it above; end tokens are the checkpoint's
and not two literals; a full block takes no further forwards; positions are ranked within their block, where
PC-Sampler ranks the whole answer and leaves masks; guidance needs no attention mask; the mask token is never
proposed; ``steps`` need not divide. Confidences are finer than a softmax in the model's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_core.parameters import steps_a_block
from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Network, Policy, Proposed, Quota, Rule, Sequence, probability

from .declared.llada import ALGORITHM, PARAMETERS
from .guidance import guided
from .orders import packed, scores_by
from .sequences import refused

__all__ = ["EndsLast", "LLaDAGeneration", "OrderedQuota", "by_entropy", "by_margin"]


@dataclass(frozen=True, slots=True)
class OrderedQuota(Quota):
    """`Quota`, ranking by one of `ORDERS`, or by the token's probability."""

    order: str = "confidence"

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return scores_by([_order(row) for row in rows], [row.logits for row in rows])


def _order(row: Proposed) -> str:
    assert isinstance(row.rule, OrderedQuota)
    return row.rule.order


def by_entropy(params: Mapping[str, Any]) -> Rule:
    """A quota of the least entropies, by the ``steps`` of effective ``params``."""
    return OrderedQuota(steps_a_block(params), "entropy")


def by_margin(params: Mapping[str, Any]) -> Rule:
    """A quota of the largest margins, by the ``steps`` of effective ``params``."""
    return OrderedQuota(steps_a_block(params), "margin")


@dataclass(frozen=True, slots=True)
class EndsLast(Quota):
    """`Quota`, ranking by the confidence that is left once no token may end the answer.

    A position whose token does has confidence 0, and is filled when the quota has nothing else; all other
    confidences are those of distributions without such tokens.

    Attributes:
        eot_id: ends the answer besides the end of sequence; None is all that end the sequence's answers.
    """

    eot_id: int | None = None

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        late = [_late(row) for row in rows]
        found: list[Tensor | None] = [None] * len(rows)
        for ids in dict.fromkeys(late):
            those = [at for at, each in enumerate(late) if each == ids]
            for at, own in zip(those, _without([rows[at] for at in those], ids), strict=True):
                found[at] = own
        return found


def _late(row: Proposed) -> frozenset[int]:
    """Tokens of which none may end the row's answer."""
    assert isinstance(row.rule, EndsLast)
    also = row.sequence.end_ids if row.rule.eot_id is None else frozenset({row.rule.eot_id})
    return also | _eos(row.sequence)


def _without(rows: list[Proposed], ids: frozenset[int]) -> Ids[Tensor]:
    """The confidence ``[L]`` of each row's tokens where none of the ``ids`` can be; of these it is 0."""
    tokens = torch.cat([row.tokens for row in rows])
    late = torch.tensor(sorted(ids)).to(tokens.device, non_blocking=True)
    sure, first = [], 0
    for part in packed([row.logits for row in rows]):
        left = part.float().index_fill(-1, late, -torch.inf)
        sure.append(probability(left, tokens[first : first + len(part)]))
        first += len(part)
    kept = torch.cat(sure).masked_fill(torch.isin(tokens, late), 0.0)
    return kept.split_with_sizes([len(row.tokens) for row in rows])


class _Endless:
    """Before a rule among the bases: that rule, on logits by which the sequence never ends."""

    __slots__ = ()

    rescores: ClassVar[bool] = True

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        logits[:, sorted(_eos(sequence))] = -torch.inf


class _EndlessQuota(_Endless, OrderedQuota):
    __slots__ = ()


class _EndlessEndsLast(_Endless, EndsLast):
    __slots__ = ()


def _eos(sequence: Sequence) -> frozenset[int]:
    """What the network's config calls the end of sequence; where it does not, all that end an answer."""
    return sequence.eos_ids or sequence.end_ids


class LLaDAGeneration(FastDLLMGeneration):
    """Upstream's ``generate``: a forward of the whole canvas every step, which commits its block's quota."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return guided(params)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        steps, endless = steps_a_block(params), params.get("logits_eos_inf")
        if params.get("confidence_eos_eot_inf"):
            return (_EndlessEndsLast if endless else EndsLast)(steps, params.get("eot_id"))
        order = params.get("order", "confidence")
        if endless:
            return _EndlessQuota(steps, order)
        return Quota(steps) if order == "confidence" else OrderedQuota(steps, order)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``; ``steps`` are rounded up to a multiple of the blocks.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or two parameters
                rank the positions, or one says something of another that is off.
        """
        values = super().validate_args(**params)
        if self.yields_steps():
            _refuse_two_orders(values)
            if values.get("eot_id") is not None and not values.get("confidence_eos_eot_inf"):
                raise refused(
                    "eot_id", values["eot_id"], "is read with confidence_eos_eot_inf=True only; give both"
                )
        return values

    def sequence(
        self,
        model: Network,
        prompt_ids: Ids[int],
        params: Mapping[str, Any],
        *,
        answer: Ids[int | None] | None = None,
    ) -> Sequence:
        """As of every step algorithm. Raises ``ParameterError``, too, for an option about end tokens where
        the model has none, and for an ``eot_id`` that is no token of it."""
        eot, size = params.get("eot_id"), model.config.embedding_size
        if eot is not None and eot >= size:
            raise refused("eot_id", eot, f"is no token of this model; give an id from 0 to {size - 1}")
        row = super().sequence(model, prompt_ids, params, answer=answer)
        for name in ("logits_eos_inf", "confidence_eos_eot_inf"):
            if params.get(name) and not _eos(row):
                raise refused(
                    name, params[name], "needs an end token, and this model declares none; leave it out"
                )
        return row


def _refuse_two_orders(values: Mapping[str, Any]) -> None:
    order, last = values.get("order", "confidence"), values.get("confidence_eos_eot_inf")
    if last and order != "confidence":
        told = "ranks by something else than the confidence, which confidence_eos_eot_inf changes"
        raise refused("order", order, f"{told}; give one of the two")
    other = "confidence_eos_eot_inf" if last else "order"
    if values.get("remasking") == "random" and (last or order != "confidence"):
        raise refused(
            other, values[other], "ranks positions, which remasking=random leaves to chance; give one"
        )
