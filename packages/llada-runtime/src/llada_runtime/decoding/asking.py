"""What rules answer by a hook: a class that answers for all of its rows sees them at once, and any other rule
is asked by itself. Whatever is wrong is the fault of its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.answering import answers_for_all
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Asked", "answers_of", "name_of"]


class Asked(Protocol):
    """What a rule is asked about, of one row."""

    @property
    def rule(self) -> Selector[Sequence]: ...


_AskedT = TypeVar("_AskedT", bound=Asked)
_ReadT = TypeVar("_ReadT")


def answers_of(
    rows: Mapping[int, _AskedT],
    hook: str,
    one: Callable[[_AskedT], Any],
    read: Callable[[list[_AskedT], list[Any]], list[_ReadT | Exception]],
    faults: dict[int, Exception],
) -> dict[int, _ReadT]:
    """What the rules of the ``rows`` answer by ``hook``, as it is ``read``; not of those that fail, which are
    added to the ``faults``.

    Args:
        one: asks the rule of one row, which answers for no other.
        read: reads what rows were answered at once, before the next rule is asked, which may use one object
            for all rows; of those whose answer is wrong, it says why.
    """
    groups: dict[object, list[int]] = {}
    for at, row in rows.items():
        kind = type(row.rule)
        groups.setdefault(kind if answers_for_all(kind, hook, Rule) else at, []).append(at)
    found: dict[int, _ReadT] = {}
    for group in groups.values():
        for part, answers in _asked(rows, group, hook, one, faults):
            _sort(part, read([rows[at] for at in part], answers), found, faults)
    return found


def name_of(rule: Selector[Sequence], hook: str) -> str:
    """How what answers by the ``hook`` is named."""
    kind = type(rule)
    return f"{kind.__name__}.{hook}_all" if answers_for_all(kind, hook, Rule) else f"{kind.__name__}.{hook}"


def _asked(
    rows: Mapping[int, _AskedT],
    group: list[int],
    hook: str,
    one: Callable[[_AskedT], Any],
    faults: dict[int, Exception],
) -> Iterator[tuple[list[int], list[Any]]]:
    """What a rule class answers for the ``group``; where it raises for several rows, row by row for the
    culprit."""
    try:
        answers = _answers([rows[at] for at in group], hook, one)
    except BaseException as exc:  # a rule may raise anything; it is its row's fault
        fault = fault_of(exc)
        if len(group) == 1:
            faults[group[0]] = fault
            return
    else:
        yield group, answers
        return
    for at in group:
        yield from _asked(rows, [at], hook, one, faults)


def _answers(rows: list[_AskedT], hook: str, one: Callable[[_AskedT], Any]) -> list[Any]:
    kind = type(rows[0].rule)
    if not answers_for_all(kind, hook, Rule):
        return [one(rows[0])]
    answers: Any = getattr(kind, f"{hook}_all")(rows)
    if not isinstance(answers, list) or len(answers) != len(rows):
        raise ContractError(
            f"{kind.__name__}.{hook}_all returned {told(answers)} for {len(rows)} rows; return a list of "
            f"what {hook} returns of each"
        )
    return answers


def _sort(
    group: list[int],
    read: Iterable[_ReadT | Exception],
    found: dict[int, _ReadT],
    faults: dict[int, Exception],
) -> None:
    """Add what is ``read`` of the group's answers to what is ``found``, or to the ``faults``."""
    for at, each in zip(group, read, strict=True):
        if isinstance(each, Exception):
            faults[at] = each
        else:
            found[at] = each
