"""A forward whose edits are asked for twice, as where a row beside fails, is counted once."""

from __future__ import annotations

from typing import Any

import pytest

from llada_llada2.rules import Editing
from llada_runtime import Loop, NoCache, Sequence
from llada_runtime.testing import FakeConfig, FakeNetwork

PROMPTS = [[1, 2, 3], [4, 5], [7], [6, 8, 7, 6], [5, 5]]
FAULTY = 3


class Lingering(NoCache):
    """Looks at a full block five times more."""

    def stays(self, sequence: Sequence) -> bool:
        return not sequence.open_columns and sequence.block_nfe < 6


class FailsTogether(Editing):
    """Fails for several rows, once all have been judged: each is asked again, every time."""

    @classmethod
    def replace_all(cls, rows: Any) -> Any:
        found = super().replace_all(rows)
        if len(rows) > 1:
            raise KeyError(len(rows))
        return found


def row(prompt: list[int], kind: type[Editing], most_post: int, editing: Any) -> Sequence:
    rule = kind(threshold=0.3, least=8, editing_threshold=editing, most_post=most_post)
    return Sequence(
        prompt, FakeConfig(), gen_length=16, block_length=8, policy=Lingering(), rule=rule, early_stop=False
    )


def decoded(*rows: Sequence) -> dict[Sequence, Exception]:
    """Run the ``rows`` together; what those that fail end with."""
    loop = Loop(FakeNetwork.random(scale=2.0), rows=len(rows))
    assert all(map(loop.admit, rows))
    faults: dict[Sequence, Exception] = {}
    while loop.active:
        faults |= {step.ticket.row: step.error for step in loop.step() if step.error is not None}
    return faults


@pytest.mark.parametrize("most_post", [1, 2, 3])
@pytest.mark.parametrize("kind", [Editing, FailsTogether])
def test_the_edits_of_a_row_are_those_that_it_has_alone(kind: type[Editing], most_post: int) -> None:
    """An `Editing` without a threshold fails as it is judged, after the rows before it."""

    def made() -> list[Sequence]:
        thresholds = [None if kind is Editing and at == FAULTY else 0.1 for at in range(len(PROMPTS))]
        return [row(prompt, kind, most_post, each) for prompt, each in zip(PROMPTS, thresholds, strict=True)]

    rows, alone = made(), made()
    faults = decoded(*rows)
    assert [*faults] == ([rows[FAULTY]] if kind is Editing else [])
    for sound in (rows, alone):
        del sound[FAULTY]
    for one, beside in zip(alone, rows, strict=True):
        assert not decoded(one)
        assert (beside.canvas, beside.nfe) == (one.canvas, one.nfe)


def test_a_rule_that_remembers_edits_knows_of_which_forward() -> None:
    """Another forward of the same block counts; another block begins anew."""
    sequence = row([1], Editing, 1, 0.1)
    full = sequence.rule_state
    assert [full.count(sequence) for _ in range(2)] == [0, 0]
    for nfe, wanted in ((1, 1), (2, 2)):
        sequence.commit(sequence.open_columns, [3] * len(sequence.open_columns))
        assert (sequence.nfe, full.count(sequence), full.count(sequence)) == (nfe, wanted, wanted)
