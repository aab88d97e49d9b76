"""What rules make of tokens that stand: masks again, or other tokens.

A rule class that judges the tokens of all its rows sees them at once; any other rule is asked by itself.
"""

from __future__ import annotations

from operator import index
from typing import Any, Literal, NamedTuple

import torch

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.asking import answers_of, name_of, read_of, speaking
from llada_runtime.decoding.confidence import probability
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.standing import Standing
from llada_runtime.decoding.together import sort_out, together

__all__ = ["Revision", "revisions_of"]

_Faults = dict[int, Exception]
_Written = list[tuple[int, int, float]]


class Revision(NamedTuple):
    """Columns whose token is taken back, ascending; those of them that get another, with it and how sure that
    is."""

    revoked: list[int]
    written: _Written


def revisions_of(rows: list[Standing]) -> list[Revision | Exception]:
    """What the rules say of what stands in each of the rows; of one that fails, why.

    That is ``ContractError`` where its rule names a column or a token that it may not, or what that raises.
    """
    faults: _Faults = {}
    taken, given = (_answers(rows, hook, faults) for hook in ("revoke", "replace"))
    named = dict[int, tuple[set[int], dict[int, int]]]()
    for at, row in enumerate(rows):
        if at not in faults:
            try:
                named[at] = _checked(row, set(taken.get(at, ())), given.get(at, {}))
            except BaseException as exc:  # a number may have more digits than Python writes
                faults[at] = fault_of(exc)
    replaced = {at: tokens for at, (_, tokens) in named.items() if tokens}
    written = _written(rows, replaced, faults)
    return [
        faults[at]
        if at in faults
        else Revision(sorted(named[at][0] | named[at][1].keys()), written.get(at, []))
        for at in range(len(rows))
    ]


def _answers(rows: list[Standing], hook: Literal["revoke", "replace"], faults: _Faults) -> dict[int, Any]:
    """What the rules of the rows that have no fault answer by ``hook``, as integers; not of those that say
    nothing."""

    def one(row: Standing) -> Any:
        return getattr(row.rule, hook)(row.sequence, row.start, row.logits)

    def read(group: list[Standing], answers: list[Any]) -> list[list[int] | dict[int, int] | Exception]:
        return read_of(group, answers, lambda row, answer: _named(row.rule, hook, answer))

    speaks = speaking((row.rule for row in rows), hook)
    asked = {at: row for at, row in enumerate(rows) if at not in faults and speaks[at]}
    return answers_of(asked, hook, one, read, faults)


def _named(rule: Selector[Sequence], hook: str, answer: Any) -> list[int] | dict[int, int]:
    """What a rule answers for one row: the columns that it revokes, or replaces, with their tokens.

    Raises ``ContractError`` for anything that holds no integers, and what the answer raises.
    """
    try:
        if hook == "revoke":
            return [index(column) for column in answer]
        return {index(column): index(token) for column, token in answer.items()}
    except (AttributeError, TypeError) as exc:
        name = name_of(rule, hook)
        wanted = "columns as integers" if hook == "revoke" else "a dict of columns and tokens"
        of = "of each row " if name.endswith("_all") else ""
        raise ContractError(f"{name} returned {told(answer)}; {of}return {wanted}") from exc


def _checked(row: Standing, revoked: set[int], replaced: dict[int, int]) -> tuple[set[int], dict[int, int]]:
    """Both, known to be columns and tokens that the rule may name. Raises ``ContractError``."""
    sequence, name = row.sequence, type(row.rule).__name__
    lo, hi = row.start, row.start + len(row.logits)
    for column in sorted([*revoked, *replaced]):
        if not lo <= column < hi or not sequence.may_revoke(column) or {column} <= revoked & replaced.keys():
            raise ContractError(
                f"{name} takes back column {column}; give columns from {lo} to {hi - 1} that "
                "hold a token which was generated, each once"
            )
    size = row.logits.shape[-1]
    if not all(0 <= token < size and token != sequence.mask_id for token in replaced.values()):
        raise ContractError(
            f"{name_of(row.rule, 'replace')} named {sorted(replaced.values())}; give ids of the "
            "vocabulary, and not the mask's"
        )
    return revoked, replaced


def _written(
    rows: list[Standing], replaced: dict[int, dict[int, int]], faults: _Faults
) -> dict[int, _Written]:
    """By row the columns with their new tokens, each with its probability."""

    def judge(part: list[int]) -> list[_Written | Exception]:
        sure = iter(_sure([rows[at] for at in part], [replaced[at] for at in part]))
        return [[(column, token, next(sure)) for column, token in replaced[at].items()] for at in part]

    written: dict[int, _Written] = {}
    if replaced:
        sort_out(replaced, together([*replaced], judge), written, faults)
    return written


def _sure(rows: list[Standing], replaced: list[dict[int, int]]) -> list[float]:
    """The probability of every new token, row by row. However many there are, the device is waited for
    once."""
    pairs = [(column - row.start, token) for row, each in zip(rows, replaced, strict=True)
             for column, token in each.items()]  # fmt: skip
    offsets, tokens = torch.tensor(pairs).T.to(rows[0].logits.device, non_blocking=True)
    split = offsets.split([len(each) for each in replaced])
    there = torch.cat([row.logits[part] for row, part in zip(rows, split, strict=True)])
    return probability(there, tokens).tolist()
