"""Algorithms whose rule breaks the contract, with what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from llada_runtime import BestFirst, Rule
from tests.runtime.wrong_tables import Good, OneBest, wrong


def with_rule(rule: type[Rule]) -> type[Good]:
    """A step algorithm of this rule, under the rule's name."""
    return type(rule.__name__, (Good,), {"rule": lambda self, params: rule()})


def chooses(name: str, choose: Callable[[Any], Any], told: str) -> None:
    kind = type(name, (Rule,), {"choose": classmethod(lambda cls, parameters, scores, open_: choose(open_))})
    wrong(f"{name} chose by {told}; return a bool tensor [1, 4] on cpu")(with_rule(kind))


chooses("ChoosesInts", lambda open_: open_.long(), "a tensor [1, 4] of int64 on cpu")
chooses("ChoosesFloats", lambda open_: open_.float(), "a tensor [1, 4] of float32 on cpu")
chooses("ChoosesOneRow", lambda open_: open_[0], "a tensor [4] of bool on cpu")
chooses("ChoosesTooMany", lambda open_: open_.repeat(2, 1), "a tensor [2, 4] of bool on cpu")
chooses("ChoosesElsewhere", lambda open_: open_.to("meta"), "a tensor [1, 4] of bool on meta")
chooses("ChoosesAList", lambda open_: open_.tolist(), "a list of 1")
chooses("ChoosesNone", lambda open_: None, "None")


def counts(name: str, count: Callable[[Any], Any], told: str) -> None:
    kind = type(
        name,
        (BestFirst,),
        {"counts": classmethod(lambda cls, parameters, ranked, open_counts: count(open_counts))},
    )
    wrong(f"{name}.counts returned {told}; return int64 [1] on cpu")(with_rule(kind))


counts("CountsFloats", lambda open_counts: open_counts / 2, "a tensor [1] of float32 on cpu")
counts("CountsBools", lambda open_counts: open_counts > 1, "a tensor [1] of bool on cpu")
counts("CountsColumns", lambda open_counts: open_counts[:, None], "a tensor [1, 1] of int64 on cpu")
counts("CountsOne", lambda open_counts: open_counts.sum(), "a tensor [] of int64 on cpu")
counts("CountsANumber", lambda open_counts: 2, "2")
counts("CountsNone", lambda open_counts: None, "None")


@wrong(
    "OldCounts.counts takes the sequences, as in llada-runtime 0.1; write @classmethod def counts(cls, "
    "parameters, ranked, open_counts), and let parameters(cls, sequences) return what it needs of them"
)
@with_rule
class OldCounts(BestFirst):
    @classmethod
    def counts(cls, sequences: Any, ranked: Any, open_counts: Any) -> Any:
        return torch.tensor([sequence.block_open for sequence in sequences])


@wrong(
    "CountsAlone.counts is a method of objects, and one class sees all rows; write @classmethod def counts("
)
@with_rule
class CountsAlone(BestFirst):
    def counts(self, sequences: Any, ranked: Any, open_counts: Any) -> Any:  # type: ignore[override]
        return open_counts


@wrong(
    "ChoosesAlone.choose is a method of objects, and one class sees all rows; write @classmethod def choose("
)
@with_rule
class ChoosesAlone(Rule):
    def choose(self, parameters: Any, scores: Any, open_: Any) -> Any:  # type: ignore[override]
        return open_


@wrong("FlatParameters.parameters returned a tensor [1] of float32 on cpu for 1 rows; return float64 [1, n]")
@with_rule
class FlatParameters(OneBest):
    @classmethod
    def parameters(cls, sequences: Any) -> Any:
        return torch.ones(len(sequences))


@wrong("KeyError: 'width'; upgrade llada-wrong, or tell its authors")
@with_rule
class RaisesInChoose(Rule):
    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        raise KeyError("width")


@wrong("25 forwards in a row filled nothing of block 0; its rule must keep an open position in every forward")
@with_rule
class KeepsNothing(Rule):
    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        return torch.zeros_like(open_)


def scores(name: str, score: Callable[[Any], Any], told: str) -> None:
    kind = type(name, (OneBest,), {"score": lambda self, sequence, logits, tokens: score(tokens)})
    wrong(f"{name}.score returned {told}")(with_rule(kind))


scores(
    "ScoresTooFew",
    lambda tokens: tokens[1:].float(),
    "a tensor [3] of float32 on cpu; return floats [4], or N",
)
scores(
    "ScoresOne", lambda tokens: torch.ones(1), "a tensor [1] of float32 on cpu; return floats [4], or None"
)
scores(
    "ScoresTwice", lambda tokens: torch.ones(1, 4), "a tensor [1, 4] of float32 on cpu; return floats [4], or"
)
scores("ScoresBools", lambda tokens: tokens > 3, "a tensor [4] of bool on cpu; return floats [4], or None")
scores("ScoresNumber", lambda tokens: 0.5, "0.5; return floats [4], or None")
scores("ScoresNaN", lambda tokens: tokens * torch.nan, "NaN; return numbers that can be compared")


@wrong(
    "RescoresAside.rescore returned a tensor [4, 32] of float32 on cpu, which nobody reads; change the logits"
)
@with_rule
class RescoresAside(OneBest):
    rescores = True

    def rescore(self, sequence: Any, logits: Any, open_: Any) -> Any:
        return logits * 2


@wrong("the logits are NaN after RescoresToNaN.rescore; let it write finite numbers, or -inf")
@with_rule
class RescoresToNaN(OneBest):
    rescores = True

    def rescore(self, sequence: Any, logits: Any, open_: Any) -> None:
        logits.fill_(torch.nan)


def revises(name: str, told: str, **members: Any) -> None:
    wrong(told)(with_rule(type(name, (OneBest,), {"revokes": True, **members})))


revises(
    "RevokesNone",
    "RevokesNone.revoke returned None; return columns as integers",
    revoke=lambda self, sequence, start, logits: None,
)
revises(
    "RevokesThePrompt",
    "RevokesThePrompt takes back column 0; give columns from ",
    revoke=lambda self, sequence, start, logits: [0],
)
revises(
    "ReplacesByAList",
    "ReplacesByAList.replace returned a list of 1; return a dict of columns and tokens",
    replace=lambda self, sequence, start, logits: [1],
)
revises(
    "ReplacesByNothing",
    "ReplacesByNothing.replace named [999]; give ids of the vocabulary, and not the mask's",
    replace=lambda self, sequence, start, logits: {
        column: 999 for column in range(start, start + len(logits)) if sequence.may_revoke(column)
    },
)
