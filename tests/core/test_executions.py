"""Who runs requests on a model can be looked at while others begin and end."""

from __future__ import annotations

import pytest

from llada_core.errors import ModelNotReady
from llada_core.generation.executions import Executions


class Running:
    """One that runs something."""

    in_work = 2


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


def test_who_asks_is_in_work_and_is_refused_where_the_model_cannot_be_asked() -> None:
    executions, kept = Executions(), Running()
    executions.add(kept)
    with executions.asking(), executions.asking():
        assert executions.in_work == 4
    with pytest.raises(KeyError), executions.asking():
        raise KeyError
    assert executions.in_work == 2

    def check() -> None:
        raise ModelNotReady("it sleeps")

    executions.check_by(check)
    with pytest.raises(ModelNotReady), executions.asking():
        raise AssertionError("it was asked")
    assert executions.in_work == 2
