"""Rules that raise, or return something else, where the tokens of several rows are judged at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_runtime import LLaDAModel, Sequence, Standing, Threshold
from llada_runtime.decoding import reviewing, revising
from llada_runtime.testing import small_llada
from tests.runtime.test_combining import decoded, told
from tests.runtime.test_revising import PROMPTS, Doubting, DoubtingAtOnce, mixed, row


@pytest.fixture(autouse=True)
def asked() -> None:
    DoubtingAtOnce.asked = []


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


class Tripping(DoubtingAtOnce):
    """Raises, or returns something else, where a row that begins with 6 is among those it sees."""

    __slots__ = ()

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        if any(each.sequence.canvas[0] == 6 for each in rows):
            return cls.trip()
        return super().replace_all(rows)

    @classmethod
    def trip(cls) -> Any:
        raise KeyError("tripped")


class TripsByNumber(Tripping):
    __slots__ = ()

    @classmethod
    def trip(cls) -> Any:
        return [{}, {}, {}, {}, {}, {}]


class TripsByToken(Tripping):
    __slots__ = ()

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        bad = {6: {0: 1}}
        return [bad.get(row.sequence.canvas[0], {}) for row in rows]


class TripsByColumns(Tripping):
    """Says no columns of one row, and columns of the others."""

    __slots__ = ()

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        bad: Any = {6: 1.5}
        found = super().revoke_all(rows)
        return [bad.get(row.sequence.canvas[0], each) for row, each in zip(rows, found, strict=True)]

    replace_all = DoubtingAtOnce.__dict__["replace_all"]


class TripsByVocabulary(Tripping):
    """Takes back and replaces by what is out of the vocabulary."""

    __slots__ = ()

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        found = super(Tripping, cls).replace_all(rows)
        marked = zip(rows, found, strict=True)
        return [dict.fromkeys(each, 99) if r.sequence.canvas[0] == 6 else each for r, each in marked]


class TripsByATuple(Tripping):
    """Returns what is no list where one row is alone."""

    __slots__ = ()

    @classmethod
    def trip(cls) -> Any:
        return ({},)


class Once(Doubting):
    """Replaces nothing."""

    __slots__ = ()

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        return {}


@pytest.mark.parametrize(
    ("kind", "plain", "words"),
    [
        (Tripping, Doubting, "tripped"),
        (
            TripsByNumber,
            Doubting,
            r"TripsByNumber.replace_all returned .* for 1 rows; return a list of what replace",
        ),
        (TripsByATuple, Doubting, r"TripsByATuple.replace_all returned a tuple .* for 1 rows; return a list"),
        (TripsByToken, Once, "TripsByToken takes back column 0; give columns from 1 to 5"),
        (
            TripsByColumns,
            Doubting,
            r"TripsByColumns.revoke_all returned 1.5; of each row return columns as integers",
        ),
        (TripsByVocabulary, Doubting, r"TripsByVocabulary.replace_all named \[99.*\]; give ids of the voc"),
    ],
)
def test_the_culprit_of_several_rows_fails_alone(
    model: LLaDAModel, kind: type[Doubting], plain: type[Doubting], words: str
) -> None:
    rows, others = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (kind, plain))
    decoded(model, others)
    _, errors = decoded(model, rows)
    assert list(errors) == [rows[2]]
    with pytest.raises((KeyError, ContractError), match=words):
        raise errors[rows[2]]
    assert told(rows[:2] + rows[3:]) == told(others[:2] + others[3:])
    assert all(each.mask_id not in each.canvas for each in rows[:2] + rows[3:])


class OneList(Doubting):
    """Clears one list and fills it again, each time that it is asked; so a dict."""

    __slots__ = ()
    columns: list[int] = []  # noqa: RUF012  # that is what is tried
    tokens: dict[int, int] = {}  # noqa: RUF012

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        found = list(super().revoke(sequence, start, logits))
        self.columns[:] = found
        return self.columns

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        found = dict(super().replace(sequence, start, logits))
        self.tokens.clear()
        self.tokens.update(found)
        return self.tokens


class Generates(Doubting):
    """Generates columns of the row that it was asked for last."""

    __slots__ = ()
    asked: list[Any] = []  # noqa: RUF012

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        self.asked[:] = sequence, start, logits
        yield from Doubting.revoke(self, *self.asked)


@pytest.mark.parametrize("kind", [OneList, Generates])
def test_what_a_rule_returns_is_read_before_the_next_is_asked(
    model: LLaDAModel, kind: type[Doubting]
) -> None:
    rows, plain = mixed(model, kind), mixed(model, Doubting)
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows) == told(plain)
    assert max(each.nfe for each in rows) > 10


class Spoiled(Doubting):
    """Fails before it revokes, and would fail again there."""

    __slots__ = ()
    rescores = True

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        raise KeyError("first")

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        raise AssertionError("a row that has failed is asked for nothing")


class Refuses(Doubting):
    __slots__ = ()

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        raise KeyError("first")


@pytest.mark.parametrize("kind", [Spoiled, Refuses])
def test_a_row_that_has_failed_is_not_looked_at_again(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, kind: type[Doubting]
) -> None:
    def probability(logits: Tensor, tokens: Tensor) -> Tensor:
        raise AssertionError("nor are its tokens compared")

    monkeypatch.setattr(reviewing, "probability", probability)
    bad, sound = row(model, kind(0.5), [1, 2]), row(model, Doubting(0.5), [3])
    bad.alternatives = 2
    _, errors = decoded(model, [bad, sound])
    assert {each: repr(error) for each, error in errors.items()} == {bad: "KeyError('first')"}


@pytest.mark.parametrize("most", [0, 1])
def test_new_tokens_of_rows_that_are_too_many_are_judged_row_by_row(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """And where a row alone is too much, it fails alone."""
    sizes, real = list[int](), revising._sure

    def sure(rows: list[Standing], replaced: list[dict[int, int]]) -> list[float]:
        sizes.append(len(rows))
        if len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(rows, replaced)

    monkeypatch.setattr(revising, "_sure", sure)
    rows, plain = ([row(model, kind(0.5), each) for each in PROMPTS] for kind in (DoubtingAtOnce, Doubting))
    sound = row(model, Threshold(0.5), [1])
    _, errors = decoded(model, [*rows, sound])
    assert max(sizes) > 1
    assert sound.mask_id not in sound.canvas
    if most:
        assert not errors
        monkeypatch.undo()
        decoded(model, plain)
        assert told(rows) == told(plain)
    else:
        assert errors
        assert {type(error) for error in errors.values()} == {torch.OutOfMemoryError}
        assert set(errors) <= set(rows)
