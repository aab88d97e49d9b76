"""What a sequence is given, and whether it gets on: what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from operator import index

from llada_core.errors import ContractError, NoProgress, ParameterError, PromptError
from llada_core.generation.prompts import Limits, check_prompt
from llada_core.values import told

__all__ = [
    "check_answer_end",
    "check_block_end",
    "check_growth",
    "check_length",
    "check_width",
    "column_of",
    "no_progress",
    "opening",
]


def check_length(name: str, value: object) -> None:
    """Refuse a length that is no number of columns. Raises ``ParameterError``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(
            f"{name}={value!r} is no number of columns; give an integer, 1 or more",
            parameter=name,
            value=value,
        )


def check_width(block_length: int, limits: Limits) -> None:
    """Refuse a block that is decoded at its full width and wider than the model's limit. Raises
    ``ParameterError``."""
    if limits.max_length is not None and block_length > limits.max_length:
        raise ParameterError(
            f"block_length={block_length} is more columns than this model's limit of {limits.max_length}, "
            f"and a block is decoded at its full width; give {limits.max_length} or less",
            parameter="block_length",
            value=block_length,
        )


def check_growth(room: int, *, fixed: bool, whole_blocks: bool) -> None:
    """Refuse an answer that may grow by ``room`` positions, where its positions have other reasons. Raises
    ``ContractError``."""
    if room < 0:
        raise ContractError(
            f"the answer begins with {-room} positions more than it may have; give a longest of its "
            "gen_length or more"
        )
    if room and (fixed or whole_blocks):
        what = "fixed text in it stays where it stands" if fixed else "whole blocks are decoded behind it"
        raise ContractError(f"the answer may grow, and {what}; give a longest of its gen_length, or none")


def check_block_end(column: int, start: int, length: int) -> None:
    """Refuse a column before which the block from ``start`` on cannot end, on a canvas of ``length``. Raises
    ``ContractError``."""
    if not start < column <= length:
        raise ContractError(
            f"the block from column {start} on was to end before column {column}; "
            f"give one from {start + 1} to {length}"
        )


def check_answer_end(column: int, token: int, end_ids: Collection[int], *, may_end: bool) -> None:
    """Refuse an end of the answer before what is prompt or fixed, and by a token that ends none. Raises
    ``ContractError``."""
    if not may_end:
        raise ContractError(
            f"the answer was to end before column {column}, and prompt or fixed text stands behind, or no "
            "column does; end it where may_end says that it may"
        )
    if token not in end_ids:
        raise ContractError(
            f"the answer was to end by token {token}, and {sorted(end_ids)} end answers; give one of these"
        )


def opening(answer: Iterable[int | None] | None, gen_length: int, limits: Limits) -> list[int | None]:
    """What stands in each position of an answer from the beginning; None of an answer is a mask.

    Raises ``PromptError`` where these are not ``gen_length`` positions, or hold what no answer may.
    """
    given: list[int | None] = [None] * gen_length if answer is None else list(answer)
    if len(given) != gen_length:
        raise PromptError(f"the answer has {len(given)} positions and gen_length is {gen_length}")
    fixed = [token for token in given if token is not None]
    if fixed:
        check_prompt(fixed, replace(limits, max_length=None), gen_length=None)
    return given


def column_of(policy: object, column: object) -> int:
    """The column that the ``block_end`` of ``policy`` named. Raises ``ContractError`` where it is none."""
    try:
        return index(column)  # type: ignore[arg-type]
    except TypeError as exc:
        raise ContractError(
            f"{type(policy).__name__}.block_end returned {told(column)}; return a column, or None"
        ) from exc


def no_progress(*, idle: int, idle_limit: int, block: int, nfe: int) -> NoProgress:
    """The error of a sequence that fills nothing any more, or whose forwards have no end."""
    if idle > idle_limit:
        return NoProgress(
            f"{idle} forwards in a row filled nothing of block {block}; its rule must keep an open position "
            "in every forward that has one and its policy plan such forwards, or the sequence needs a larger "
            "idle_limit"
        )
    return NoProgress(
        f"after {nfe} forwards there are masks left; a rule that takes back what stands must do so less "
        "often than it fills, or the sequence needs a larger forward_limit"
    )
