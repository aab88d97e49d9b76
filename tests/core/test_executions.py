"""Who runs requests on a model can be looked at while others begin and end."""

from __future__ import annotations

from llada_core.generation.executions import Executions


class Running:
    """One that runs something."""


def test_others_may_begin_while_they_are_looked_at() -> None:
    executions, kept = Executions(), [Running()]
    executions.add(kept[0])
    for seen in executions:
        kept.append(Running())
        executions.add(kept[-1])
        assert seen is kept[0]
    assert {*executions} == {*kept}


def test_it_keeps_nobody() -> None:
    executions, kept = Executions(), [Running(), Running()]
    for each in kept:
        executions.add(each)
    del each
    kept.pop()
    assert [*executions] == kept
