"""Which masks of a block are filled, and which of its tokens are overwritten.

Sources: the published ``generate`` of LLaDA2.0 and of 2.1 (arXiv 2602.08676), SGLang's ``LowConfidence``
and ``JointThreshold`` (``srt/dllm/algorithm``), dInfer's ``ThresholdParallelDecoder`` (arXiv 2510.08666). The
mask token is never proposed, and so never written and never an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from llada_core import ParameterError
from llada_runtime import BestFirst, Sequence, Standing, probability, rules_of
from llada_runtime.decoding.proposals import tempered

__all__ = ["DrawnEditing", "DrawnSchedule", "Editing", "NearTies", "Penalised", "Schedule", "Surest"]

_NEAR_TIE = 1e-5
_ROWS = 64  # positions whose float64 temporaries exist at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Surest(BestFirst):
    """Every proposal more confident than ``threshold``, and at least the ``least`` most confident ones.

    Raises ``ParameterError`` for a number that is out of range, as all rules here.
    """

    threshold: float | None
    least: int = 1

    def __post_init__(self) -> None:
        _check("least", self.least, 1)

    def least_now(self, sequence: Sequence) -> int:
        """How many are kept in any case by the next forward of ``sequence``."""
        return self.least

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rules = zip(rules_of(sequences, cls), sequences, strict=True)
        rows = [
            [torch.inf if rule.threshold is None else rule.threshold, rule.least_now(sequence)]
            for rule, sequence in rules
        ]
        return torch.tensor(rows, dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        threshold, least = parameters.split(1, dim=-1)  # [R, 1] each
        return torch.maximum((ranked > threshold).sum(-1), torch.minimum(least[:, 0].long(), open_counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Surest):
    """LLaDA2.0's: ``steps`` forwards share a block's positions out evenly, the first ones taking one more.

    The block counts with all its positions, also those of a prompt that stand in it.
    """

    steps: int

    def __post_init__(self) -> None:
        Surest.__post_init__(self)  # a class with slots is another one than super() knows
        _check("steps", self.steps, 1)

    def least_now(self, sequence: Sequence) -> int:
        width = sequence.block_end - sequence.block_start
        return width // self.steps + (sequence.block_nfe < width % self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Editing(Surest):
    """LLaDA2.1's: besides, tokens of the block are overwritten where another one is likeliest and surer than
    ``editing_threshold``.

    One forward decides both. What stands of a prompt in the block, and what it fills now, are not edited.
    After ``most_post`` forwards of a full block no more is written.
    """

    revokes = True

    editing_threshold: float
    most_post: int

    def __post_init__(self) -> None:
        Surest.__post_init__(self)
        _check("most_post", self.most_post, 0)

    def begin(self) -> Full:
        return Full()

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        found = _likeliest(rows, [_overwritable(row.sequence) for row in rows])
        return [_edited(*each) for each in zip(rows, found, strict=True)]


def _overwritable(sequence: Sequence) -> list[int]:
    """The columns of the block whose tokens may be overwritten."""
    block = range(sequence.block_start, sequence.block_end)
    return [column for column in block if sequence.may_revoke(column)]


def _likeliest(rows: list[Standing], stands: list[list[int]]) -> list[dict[int, tuple[int, float]]]:
    """Of each row's columns ``stands`` which token is the likeliest there, and its probability; the device is
    waited for once."""
    parts = [_part(*each) for each in zip(rows, stands, strict=True)]
    there = torch.cat(parts)
    if not len(there):
        return [{} for _ in rows]
    likeliest = there.argmax(-1)
    tokens, sure = torch.stack((likeliest.double(), probability(there, likeliest))).tolist()
    firsts = accumulate(map(len, parts), initial=0)
    return [
        {at: (int(tokens[first + at - own[0]]), sure[first + at - own[0]]) for at in own}
        for own, first in zip(stands, firsts, strict=False)
    ]


def _part(row: Standing, columns: list[int]) -> Tensor:
    """The logits of the row's ``columns`` and of what is between, ``[columns, V]``."""
    if not columns:
        return row.logits[:0]
    return row.logits[columns[0] - row.start : columns[-1] + 1 - row.start]


def _edited(row: Standing, likeliest: dict[int, tuple[int, float]]) -> dict[int, int]:
    """The tokens by which the rule overwrites what stands, of the ``likeliest`` of each column."""
    rule, sequence = row.rule, row.sequence
    assert isinstance(rule, Editing)
    if sequence.rule_state.count(sequence) > rule.most_post:
        return {}
    return {
        column: token
        for column, (token, sure) in likeliest.items()
        if sure > rule.editing_threshold and token != sequence.canvas[column]
    }


@dataclass(slots=True)
class Full:
    """How many forwards of a block found no mask in it.

    Attributes:
        block, at, forwards: the block, the forward of it that was counted last, and the number.
    """

    block: int = -1
    at: int = -1
    forwards: int = 0

    def count(self, sequence: Sequence) -> int:
        """The number with the forward that is being decided, however often it is asked for."""
        if self.block != sequence.block:
            self.block, self.forwards = sequence.block, 0
        if self.at != sequence.nfe:
            self.at = sequence.nfe
            self.forwards += not sequence.open_columns
        return self.forwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalised(Editing):
    """SGLang's against repetition: the token that stands one position before loses ``penalty`` of its logit.

    Confidences are those of the logits that result. The block's first position has none before it. Where a
    mask stands before, SGLang lowers the mask's logit; here that is -inf already, and nothing changes.
    """

    rescores = True

    penalty: float

    def __post_init__(self) -> None:
        Editing.__post_init__(self)
        _check("penalty", self.penalty, 0)

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        standing = sequence.canvas[sequence.block_start : sequence.block_end - 1]
        before = torch.tensor(
            standing, dtype=torch.int64, device=logits.device
        )  # of one column there is none
        later = torch.arange(1, len(before) + 1, device=logits.device)
        logits[later, before] -= self.penalty


class _Drawn:
    """Ranks drawn tokens as the published code does: by their probability after temperature and filters."""

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        parts = zip(logits.split(_ROWS), tokens.split(_ROWS), strict=True)
        return torch.cat([_drawn_probability(sequence, *part) for part in parts])


def _drawn_probability(sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
    """Of ``tokens [L]`` in what they were drawn from, float64 ``[L]``, at any temperature above 0."""
    odds = tempered(logits, sequence.temperature, sequence.filters)
    return odds.log_softmax(-1).gather(-1, tokens[:, None])[:, 0].exp()


class DrawnSchedule(_Drawn, Schedule):
    """`Schedule` of tokens that are drawn."""


class DrawnEditing(_Drawn, Editing):
    """`Editing` where masks are filled by tokens that are drawn; edits take the likeliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearTies(BestFirst):
    """dInfer's: every proposal at least ``threshold`` confident; if none is, the best and those within 1e-5.

    Confidences are compared in float32, as upstream does.
    """

    threshold: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return torch.tensor([[rule.threshold] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        confidence = ranked.float()
        cut = torch.minimum(confidence[:, :1] - _NEAR_TIE, parameters.float())
        return (confidence >= cut).sum(-1)


def _check(name: str, value: float, least: int) -> None:
    if not value >= least:
        raise ParameterError(
            f"{name}={value} is out of range; give {least} or more", parameter=name, value=value
        )
