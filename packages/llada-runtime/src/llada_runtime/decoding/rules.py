"""Commit rules: which of a block's proposals become tokens now.

Rules see all rows of a call that use them at once, ``[R, L]``, with each row's own parameters. Those here
are Fast-dLLM's (arXiv 2505.22618, Algorithm 1 and Theorem 1; the quota is LLaDA's, arXiv 2502.09992). Each
keeps the ``n`` most confident open positions of a row; they differ in ``n``. Of equally confident
positions the leftmost goes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.values import told
from llada_runtime.decoding.answering import pair
from llada_runtime.decoding.proposed import Proposed, scored_by_all, scored_by_each
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.standing import Standing, judged_by_all, judged_by_each

__all__ = ["BestFirst", "Factor", "Quota", "Ranked", "Rule", "Threshold", "kept_first", "quotas", "rules_of"]


class Rule(ABC):  # noqa: B024  # of choose and select one is to be defined, and Python cannot say that
    """What an algorithm supplies to choose among proposals: ``choose`` and the ``parameters`` that it is
    given.

    One object may serve many sequences: it holds parameters, and what changes during generation is in the
    sequence, in ``rule_state`` if nowhere else.
    """

    part: ClassVar[Literal["rule"]] = "rule"
    """What it is among the parts that algorithms compose by name."""

    checked_by: ClassVar[str] = "llada_runtime.testing:check_rule"
    """The ``"module:attr"`` of what holds one to its contract."""

    rescores: ClassVar[bool] = False
    """Whether `rescore` is to be called; the block's logits are float32 then."""

    revokes: ClassVar[bool] = False
    """Whether `revoke` and `replace` are to be called; nothing of the current block is settled then."""

    idles: ClassVar[bool] = False
    """Whether a forward may fill nothing, as by a schedule of more steps than masks; the algorithm's
    ``idle_limit`` says how many in a row."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        pair(cls, Rule, "score", one=scored_by_all, each=scored_by_each, arguments="rows")
        for hook in ("revoke", "replace"):
            pair(cls, Rule, hook, one=judged_by_all, each=judged_by_each, arguments="rows")

    def begin(self) -> Any:
        """What a new sequence starts with as its ``rule_state``."""
        return None

    def rescore(  # noqa: B027  # a hook, not abstract: most rules do nothing here
        self, sequence: Sequence, logits: Tensor, open_: Tensor
    ) -> None:
        """Change the block's logits, float32 ``[L, V]``, in place, before tokens are proposed from them.

        ``open_`` is bool ``[L]``; the mask token's logit is -inf already.
        """

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        """What to rank the proposed ``tokens [L]`` by, ``[L]``, higher first; None is their probability.

        ``logits [L, V]`` are those that they were proposed from; both are read, not written. A class that
        defines this or `score_all` is given the other one, and may be asked twice for one forward.
        """
        return None

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        """What `score` returns, of each of the ``rows``, whose rules are all of this class.

        For a class that computes much of the logits: what it launches on a GPU it launches once, and not once
        a row. It reads the tensors of the rows, and writes to none. Where it raises for several rows, it is
        asked again, row by row: note what is found, by ``sequence.nfe``, and do not add up.
        """
        return [None for _ in rows]

    def keeps(self, sequence: Sequence) -> int | None:
        """How many of the block's masks it keeps now, whatever the network says; None where that matters."""
        return None

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """What ``choose`` needs to know of each row now, float64 ``[R, n]`` on the CPU. Changes nothing."""
        return torch.zeros(len(sequences), 0, dtype=torch.float64)

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        """Which proposals to keep, bool ``[R, L]``, from tensors of any one device, and on it.

        At least one open position of every row that has any, or the sequence would never end; a rule that
        ``idles`` may keep none for a while. Changes nothing.

        Args:
            parameters: those of the rows, float64 ``[R, n]``.
            scores: float64 ``[R, L]``, the confidence of each proposal, or its ``score``; -inf where not
                open.
            open_: bool ``[R, L]``; False on tokens that stand and beyond a shorter block.
        """
        raise NotImplementedError(f"{cls.__name__} chooses nothing; define choose, or select")

    @classmethod
    def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        """`choose` for these rows, whose rules are all of this class. On the device of ``scores``.

        To be overridden only by a rule that must look at the sequences themselves.
        """
        parameters: Any = cls.parameters(sequences)
        if not isinstance(parameters, Tensor) or parameters.dim() != 2 or len(parameters) != len(sequences):
            raise ContractError(
                f"{cls.__name__}.parameters returned {told(parameters)} for {len(sequences)} rows; "
                f"return float64 [{len(sequences)}, n]"
            )
        # Sent without waiting: on a GPU the host would stand still until the forward is done.
        return cls.choose(parameters.to(scores.device, non_blocking=True), scores, open_)

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        """Columns of the block that stand and are to be masks again, where the rule ``revokes``.

        ``logits [L, V]`` are those of the columns from ``start``, of the plan's shadow where it has one; what
        is chosen now (``sequence.chosen``) does not stand yet. They are read, not written. A class that
        defines this or `revoke_all` is given the other one, and may be asked twice for one forward.
        """
        return ()

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        """Columns of the block that stand, each with the token that is to stand there instead.

        Asked where the rule ``revokes``, as that is; a column may be in one of the two only.
        """
        return {}

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        """What `revoke` returns, of each of the ``rows``, whose rules are all of this class.

        For a class that reads logits, and would wait for the device once a row; any other defines `revoke`.
        It reads the logits of the rows, and writes to none. Where it raises for several rows, it is asked
        again, row by row: note what is found, by ``sequence.nfe``, and do not add up.
        """
        return [() for _ in rows]

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        """What `replace` returns, of each of the ``rows``, as `revoke_all`."""
        return [{} for _ in rows]


_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

RuleT = TypeVar("RuleT", bound=Rule)


def rules_of(sequences: list[Sequence], kind: type[RuleT]) -> list[RuleT]:
    """The sequences' rules, which are all of class ``kind``."""
    rules = [sequence.rule for sequence in sequences]
    assert all(isinstance(rule, kind) for rule in rules)
    return rules  # type: ignore[return-value]


def quotas(sequences: list[Sequence], steps: list[int]) -> Tensor:
    """How many positions each sequence's schedule of ``steps`` a block commits now, float64 ``[R, 1]``."""
    shares = [[_share(*each)] for each in zip(sequences, steps, strict=True)]
    return torch.tensor(shares, dtype=torch.float64)


def _share(sequence: Sequence, steps: int) -> int:
    return sequence.block_open // steps + (sequence.block_nfe < sequence.block_open % steps)


def kept_first(order: Tensor, counts: Tensor, open_: Tensor) -> Tensor:
    """The first so many positions of each row, as far as they are open: bool ``[R, L]``.

    ``order [R, L]`` are the positions of each row, int64, the one to keep first at its beginning; ``counts``
    is ``[R, 1]``, ``open_`` bool ``[R, L]``.
    """
    best = torch.arange(order.shape[-1], device=order.device) < counts
    return torch.empty_like(open_).scatter_(-1, order, best) & open_


class BestFirst(Rule):
    """A rule that keeps the ``n`` highest scores of each row, and one at least; a subclass counts them."""

    @classmethod
    @abstractmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        """How many to keep, int64 ``[R]``, on the device of its arguments.

        ``parameters [R, n]`` are those of the rows, ``ranked`` their scores ``[R, L]`` in descending order
        (closed positions last, as -inf), ``open_counts`` ``[R]`` how many of them are open.
        """

    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        ranked, order = scores.sort(dim=-1, descending=True, stable=True)
        counts = _checked(cls, cls.counts(parameters, ranked, open_.sum(-1)), ranked).clamp(min=1)
        return kept_first(order, counts[:, None], open_)


def _checked(kind: type[BestFirst], counts: Any, ranked: Tensor) -> Tensor:
    """What ``counts`` of ``kind`` returned, known to be a number for each row. Raises ``ContractError``."""
    fits = isinstance(counts, Tensor) and counts.dim() == 1 and len(counts) == len(ranked)
    if not fits or counts.dtype not in _INTEGERS or counts.device != ranked.device:
        raise ContractError(
            f"{kind.__name__}.counts returned {told(counts)}; return int64 [{len(ranked)}] on {ranked.device}"
        )
    assert isinstance(counts, Tensor)
    return counts


class Confidence(Protocol):
    """How sure a network is of tokens."""

    def of(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Of each of the proposed ``tokens [L]`` under ``logits [L, V]``, float64 ``[L]``; higher is
        surer."""
        ...


class Ranked:
    """Before another rule among the bases: that rule, ranking by this ``confidence``.

    The subclass declares the field: ``class MySure(Ranked, Threshold)`` with ``confidence: MyConfidence``.
    """

    __slots__ = ()

    confidence: Confidence

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        return self.confidence.of(logits, tokens)


@dataclass(frozen=True, slots=True)
class Quota(BestFirst):
    """A fixed number a step: the block's masks spread over ``steps``, the first taking one more."""

    steps: int

    def keeps(self, sequence: Sequence) -> int:
        return max(1, _share(sequence, self.steps))

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return quotas(sequences, [rule.steps for rule in rules_of(sequences, cls)])

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return parameters[:, 0].long()


@dataclass(frozen=True, slots=True)
class Threshold(BestFirst):
    """Every proposal at least ``threshold`` confident, and in any case the best one."""

    threshold: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return torch.tensor([[rule.threshold] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return (ranked >= parameters).sum(-1)


@dataclass(frozen=True, slots=True)
class Factor(BestFirst):
    """As many as their confidence c allows: the proposal of rank r ≥ 2 needs c ≥ 1 - factor/(r + 1).

    Counting stops at the first that fails. As upstream has it, a last candidate that would be left alone is
    kept as well; the paper's theorem has neither the "≥" nor that exception.
    """

    factor: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return torch.tensor([[rule.factor] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        rank = torch.arange(1, ranked.shape[-1] + 1, device=ranked.device)
        passes = (ranked >= 1 - parameters / (rank + 1)) & (rank <= open_counts[:, None])
        passes[:, 0] = True
        kept = passes.long().cumprod(-1).sum(-1)
        return torch.where(kept == open_counts - 1, open_counts, kept)
