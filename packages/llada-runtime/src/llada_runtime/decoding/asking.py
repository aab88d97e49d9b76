"""What rules answer by a hook: a class that answers for all of its rows sees them at once, and any other rule
is asked by itself. Whatever is wrong is the fault of its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.answering import answers_for_all, owner_of
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.together import sort_out, together

__all__ = ["Asked", "answers_of", "name_of", "read_of", "speaking"]


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
            for all rows; of those whose answer is wrong, it says why. Where it raises, the rows are asked
            again, one by one.
    """

    def ask(group: list[int]) -> list[_ReadT | Exception]:
        asked = [rows[at] for at in group]
        return read(asked, _answers(asked, hook, one))

    found: dict[int, _ReadT] = {}
    for group in _groups(rows, hook):
        sort_out(group, together(group, ask), found, faults)
    return found


def read_of(
    rows: list[_AskedT], answers: list[Any], read: Callable[[_AskedT, Any], _ReadT]
) -> list[_ReadT | Exception]:
    """What each of the ``answers`` is by ``read``, or what that raises of it, as an answer is anything."""
    found: list[_ReadT | Exception] = []
    for row, answer in zip(rows, answers, strict=True):
        try:
            found.append(read(row, answer))
        except BaseException as exc:  # as of a generator, or of a tensor that has a class of its own
            found.append(fault_of(exc))
    return found


def name_of(rule: Selector[Sequence], hook: str) -> str:
    """How what answers by the ``hook`` is named."""
    kind = type(rule)
    return f"{kind.__name__}.{hook}_all" if answers_for_all(kind, hook, Rule) else f"{kind.__name__}.{hook}"


def speaking(rules: Iterable[Selector[Sequence]], hook: str) -> list[bool]:
    """Whether each of the rules has the ``hook`` by its class or of its own, or leaves it to `Rule`, so that
    there is nothing to ask."""
    rules = [*rules]
    silent = {kind for kind in set(map(type, rules)) if owner_of(kind, hook) is Rule}
    return [type(rule) not in silent or hook in getattr(rule, "__dict__", ()) for rule in rules]


def _groups(rows: Mapping[int, _AskedT], hook: str) -> list[list[int]]:
    """The rows to be asked: together those of one class that answers for all of its rows."""
    at_once: dict[type, bool] = {}
    groups: dict[object, list[int]] = {}
    for at, row in rows.items():
        kind = type(row.rule)
        if kind not in at_once:
            at_once[kind] = answers_for_all(kind, hook, Rule)
        groups.setdefault(kind if at_once[kind] else at, []).append(at)
    return [*groups.values()]


def _answers(rows: list[_AskedT], hook: str, one: Callable[[_AskedT], Any]) -> list[Any]:
    kind = type(rows[0].rule)
    if not answers_for_all(kind, hook, Rule):
        return [one(rows[0])]
    answers: Any = getattr(kind, f"{hook}_all")([*rows])  # a list of its own, which it may change
    if not isinstance(answers, list) or len(answers) != len(rows):
        raise ContractError(
            f"{kind.__name__}.{hook}_all returned {told(answers)} for {len(rows)} rows; return a list of "
            f"what {hook} returns of each"
        )
    return answers
