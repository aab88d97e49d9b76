"""A rule class that judges the tokens of all its rows sees them at once, and its rows are those of one that
does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Ids
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core.testing import ConformanceError, run_checks
from llada_runtime import LLaDAModel, Loop, NoCache, Rule, Sequence, Standing, Threshold
from llada_runtime.reference import follow
from llada_runtime.testing import FakeNetwork, small_llada
from llada_runtime.testing.policies import policy_checks
from tests.runtime.test_combining import decoded, told

PROMPTS = [[1, 2, 3], [4, 5], [6], [9, 8, 7, 6], [5, 5, 1, 2, 3, 4]]


class Doubting(Threshold):
    """Takes back what is improbable by now, and of each third column writes what is likelier in its place;
    each column once."""

    __slots__ = ()
    revokes = True

    def begin(self) -> set[int]:
        return set()

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        return doubtful(sequence, start, logits, third=False)

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        likeliest = logits.argmax(-1).tolist()
        return {at: likeliest[at - start] for at in doubtful(sequence, start, logits, third=True)}


def doubtful(sequence: Sequence, start: int, logits: Tensor, *, third: bool) -> list[int]:
    """Columns that hold what has less than 0.6, each once; each ``third`` one, or all others."""
    sure, seen = logits.float().softmax(-1).tolist(), sequence.rule_state
    columns = [column for column in range(start, start + len(logits)) if (column % 3 == 0) == third]
    standing = [column for column in columns if sequence.may_revoke(column) and column not in seen]
    found = [column for column in standing if sure[column - start][sequence.canvas[column]] < 0.6]
    seen.update(found)
    return found


class DoubtingAtOnce(Doubting):
    """The same, of all rows. ``asked`` are the rows that it was asked for."""

    __slots__ = ()
    asked: list[list[Standing]]

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        cls.asked.append(rows)
        return [Doubting.revoke(row.rule, row.sequence, row.start, row.logits) for row in rows]

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        cls.asked.append(rows)
        return [Doubting.replace(row.rule, row.sequence, row.start, row.logits) for row in rows]


@pytest.fixture(autouse=True)
def asked() -> list[list[Standing]]:
    DoubtingAtOnce.asked = []
    return DoubtingAtOnce.asked


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


def row(model: LLaDAModel | FakeNetwork, rule: Rule, prompt: list[int], **options: Any) -> Sequence:
    given = {"gen_length": 10, "block_length": 5, "policy": NoCache(), "early_stop": False, **options}
    return Sequence(prompt, model.config, rule=rule, **given)


def mixed(model: LLaDAModel, kind: type[Doubting]) -> list[Sequence]:
    """Rows of different widths, and one that takes nothing back among them."""
    rules = [kind(0.2), kind(0.5), Threshold(0.3), kind(0.9), kind(0.2)]
    return [row(model, *each, gen_length=10 - at) for at, each in enumerate(zip(rules, PROMPTS, strict=True))]


def test_all_rows_are_seen_at_once_and_are_those_that_are_asked_one_by_one(
    model: LLaDAModel, asked: list[list[Standing]]
) -> None:
    plain, at_once = mixed(model, Doubting), mixed(model, DoubtingAtOnce)
    decoded(model, plain)
    assert not asked
    _, errors = decoded(model, at_once)
    assert not errors
    assert told(at_once) == told(plain) == [follow(model, each) for each in mixed(model, Doubting)]
    assert max(map(len, asked)) == 4
    assert len(asked) == 2 * max(each.nfe for each in at_once if isinstance(each.rule, Doubting))
    assert max(each.nfe for each in plain) > 10  # what is taken back takes forwards


def test_what_a_row_replaces_has_the_confidence_that_it_has_alone(model: LLaDAModel) -> None:
    def steps(rows: list[Sequence]) -> dict[Sequence, list[Any]]:
        loop, found = Loop(model, rows=len(rows)), {each: [] for each in rows}
        assert all(map(loop.admit, rows))
        while loop.active:
            for step in loop.step():
                found[step.ticket.row].append((step.positions, step.tokens, step.confidence, step.revoked))
        return found

    together = steps(mixed(model, DoubtingAtOnce))
    for (_, told_of), alone in zip(together.items(), mixed(model, Doubting), strict=True):
        assert told_of == steps([alone])[alone]
    written = [
        set(positions) & set(revoked) for each in together.values() for positions, _, _, revoked in each
    ]
    assert any(written)


def test_a_rule_knows_what_is_chosen_now(model: LLaDAModel) -> None:
    class Noting(Threshold):
        revokes = True

        def begin(self) -> list[tuple[int, ...]]:
            return []

        @classmethod
        def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
            for each in rows:
                each.sequence.rule_state.append(tuple(each.sequence.chosen))
            return [() for _ in rows]

    one = row(model, Noting(0.2), [1, 2])
    loop, noted = Loop(model, rows=1), one.rule_state
    assert loop.admit(one)
    steps = [step for _ in range(10) for step in loop.step()]
    assert [tuple(column - 2 for column in each) for each in noted] == [step.positions for step in steps]
    assert sum(map(len, noted)) == 10


def test_what_a_subclass_says_of_one_row_counts(model: LLaDAModel, asked: list[list[Standing]]) -> None:
    class Firm(DoubtingAtOnce):
        def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
            return ()

        def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
            return {}

    rows, plain = ([row(model, kind(0.5), each) for each in PROMPTS[:2]] for kind in (Firm, Threshold))
    decoded(model, rows)
    decoded(model, plain)
    assert not asked
    assert [each.canvas for each in rows] == [each.canvas for each in plain]


def test_one_row_is_asked_by_what_is_defined_of_all(model: LLaDAModel) -> None:
    class All(Doubting):
        @classmethod
        def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
            return [[row.start] for row in rows]

        @classmethod
        def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
            return [{row.start: len(row.logits)} for row in rows]

    one, logits = row(model, All(0.1), [1, 2]), torch.zeros(4, 8)
    assert list(one.rule.revoke(one, 2, logits)) == [2]
    assert one.rule.replace(one, 2, logits) == {2: 4}
    assert (*Threshold(0.1).revoke(one, 2, logits), *Threshold(0.1).replace(one, 2, logits)) == ()


class TheFirstsDoubts(DoubtingAtOnce):
    """Takes back of each row what it would of its first."""

    __slots__ = ()

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        first, *_ = rows
        columns = doubtful(first.sequence, first.start, first.logits, third=False)
        offsets = [column - first.start for column in columns]
        found = [[row.start + at for at in offsets] for row in rows]
        return [
            [c for c in columns if row.sequence.may_revoke(c) and c < row.start + len(row.logits)]
            for row, columns in zip(rows, found, strict=True)
        ]


def test_the_kit_finds_one_that_mixes_rows(model: LLaDAModel) -> None:
    """By the rows of an algorithm, with whatever policy it gives them."""

    def failed(rule: Rule) -> list[str]:
        def made(network: FakeNetwork, prompt: Ids[int], gen_length: int) -> Sequence:
            return row(network, rule, [*prompt], gen_length=gen_length)

        try:
            run_checks("rows", policy_checks(made))
        except ConformanceError as found:
            return [each.check for each in found.failures]
        return []

    assert failed(DoubtingAtOnce(0.3)) == []
    assert failed(TheFirstsDoubts(0.3)) == ["its policy serves rows as if each were alone"]
