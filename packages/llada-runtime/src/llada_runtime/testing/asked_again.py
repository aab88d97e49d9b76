"""The check of what a rule and a policy remember where they are asked again of a forward.

Where a class that judges all of its rows at once raises for several of them, the loop asks it row by row, to
find the culprit: of a forward in which another row fails, a sound one is asked twice.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from collections.abc import Sequence as Ids
from typing import Any

from llada_core.faults import fault_of, one_line
from llada_core.testing import NotRun
from llada_runtime.decoding.answering import answers_for_all
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.testing.networks import FakeNetwork
from llada_runtime.testing.varied_networks import NETWORKS

__all__ = ["ASKED_AGAIN", "check_asked_again", "judges_all"]

ASKED_AGAIN = "its rule and policy answer the same where they are asked again of a forward"

Make = Callable[[Any, Ids[int], int], Sequence]
"""A new sequence of ``(network, prompt, gen_length)``, of the rule and the policy that are checked."""

_CASES = (([5, 6, 7], 11), ([4], 8))  # prompts, and lengths of answers
_TRIED = (NETWORKS[0], NETWORKS[2])  # one that changes its mind with each token, and one that hardly does
_MOST = 9  # settings whose rows are decoded
_PARTS: tuple[tuple[str, type, tuple[str, ...]], ...] = (
    ("rule", Rule, ("score", "revoke", "replace")),
    ("policy", Policy, ("combine",)),
)


def check_asked_again(makes: Ids[Make]) -> None:
    """Check that rows of ``makes`` are, where in every forward their class raises for several and is asked of
    each again, what they are alone.

    What is asked of each row by itself is not asked again (`judges_all`). Raises ``NotRun`` where there is
    nothing else, where a row fails alone, and where a class has no subclass that does no more than raise.
    """
    few = makes[:: -(-len(makes) // _MOST)]
    for network in (made() for made in _TRIED):
        wanted = [_alone(network, row) for row in _rows(few, network)]
        if not wanted:
            raise NotRun("its rules and policies are asked of each row by itself, and once a forward")
        for row in _raising_rows(few, network):
            _alone(network, row)
        beside = _raising_rows(few, network)
        faults = _decoded(network, beside)
        for row, answer in zip(beside, wanted, strict=True):
            assert row not in faults, f"{_told(row)} it fails: {one_line(faults[row])}; {_REMEDY}"
            assert (row.canvas, row.nfe) == answer, f"{_told(row)} it decodes otherwise than alone; {_REMEDY}"


def judges_all(kind: type) -> list[str]:
    """The class methods by which a class of rules or policies judges all rows at once."""
    return [f"{hook}_all" for _, root, hooks in _PARTS for hook in hooks if answers_for_all(kind, hook, root)]


_REMEDY = (
    "note in its state of which forward (sequence.nfe) something is remembered, and asked again of that "
    "answer the same, draw and count nothing, and write to no tensor but those of combine_all"
)


def _told(row: Sequence) -> str:
    kinds = [type(getattr(row, part)).__mro__ for part, *_ in _PARTS]
    named = [f"{mro[1].__name__}.{hook}" for mro in kinds for hook in judges_all(mro[0])]
    return f"where {' or '.join(named)} raises for several rows, and is asked of each again,"


def _alone(network: FakeNetwork, row: Sequence) -> tuple[list[int], int]:
    for fault in _decoded(network, [row]).values():
        names = " and ".join(type(part).__name__ for part in (row.rule, row.policy))
        raise NotRun(f"alone a row of {names} fails ({one_line(fault)}); let it come to its end")
    return row.canvas, row.nfe


def _decoded(network: FakeNetwork, rows: list[Sequence]) -> dict[Sequence, Exception]:
    """Run the ``rows`` together; what those that fail end with."""
    loop, faults = Loop(network, rows=max(1, len(rows))), dict[Sequence, Exception]()
    for row in rows:
        assert loop.admit(row), "a sequence of a few columns found no room; caches must be of its length"
    while loop.active:
        faults |= {step.ticket.row: step.error for step in loop.step() if step.error is not None}
    return faults


def _rows(makes: Ids[Make], network: FakeNetwork) -> list[Sequence]:
    """Rows whose rules or policies judge all rows at once."""
    rows = [make(network, *case) for make in makes for case in _CASES]
    return [row for row in rows if judges_all(type(row.rule)) or judges_all(type(row.policy))]


def _raising_rows(makes: Ids[Make], network: FakeNetwork) -> list[Sequence]:
    """Those whose rules and policies raise for several rows."""
    rows = _rows(makes, network)
    for row in rows:
        for part, *_ in _PARTS:
            if judges_all(type(getattr(row, part))):
                setattr(row, part, _raising_copy(getattr(row, part)))
    return rows


def _raising_copy(part: Any) -> Any:
    """It, but that it raises for several rows. Raises ``NotRun`` where it does not let that be made."""
    kind: Any = type(part)
    try:
        made = copy.copy(part)
        object.__setattr__(made, "__class__", _raising(kind))  # of a frozen one, too
    except Exception as exc:  # the class is a plugin's, and so is what makes classes below it
        why = one_line(fault_of(exc))
        raise NotRun(f"{kind.__name__} cannot be copied, or has no subclass ({why})") from exc
    return made


@functools.cache
def _raising(kind: type) -> type:
    """A subclass of ``kind`` that raises for several rows, once it has judged them."""

    def raising(hook: str) -> Any:
        judge: Any = getattr(kind, hook).__func__

        def judge_all(cls: type, rows: list[Any], *given: Any) -> Any:
            found = judge(cls, rows, *given)
            if len(rows) > 1:
                raise ArithmeticError(f"{hook} was asked of {len(rows)} rows")
            return found

        return classmethod(judge_all)

    members = {hook: raising(hook) for hook in judges_all(kind)}
    module = {"__slots__": (), "__module__": kind.__module__}
    return type(f"Raising{kind.__name__}", (kind,), {**module, **members})
