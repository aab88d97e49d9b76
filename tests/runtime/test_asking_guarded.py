"""Whatever a rule answers for a row, and does to the list of rows it is given, no other row loses its
step."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_runtime import LLaDAModel, Proposed, Sequence, Standing, Threshold
from llada_runtime.testing import small_llada
from tests.runtime.test_combining import decoded, told
from tests.runtime.test_ranking import PROMPTS, Novel, NovelAtOnce, row


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


@pytest.fixture(autouse=True)
def asked() -> None:
    NovelAtOnce.asked = []


class Raises(Tensor):
    """Its attributes raise."""

    @classmethod
    def __torch_function__(cls, *given: Any, **named: Any) -> Any:
        raise LookupError("no function")


class RaisesLater(Tensor):
    """It has a shape, and cannot be read."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "cpu":
            raise LookupError("not read")
        return super().__torch_function__(func, types, args, kwargs or {})


class NoArray:
    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


def nested() -> Tensor:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch calls them a prototype
        return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


BAD: dict[str, Any] = {
    "nested": nested,
    "raises": lambda: torch.zeros(5).as_subclass(Raises),
    "raises later": lambda: torch.zeros(5, dtype=torch.float64).as_subclass(RaisesLater),
    "no array": NoArray,
    "meta": lambda: torch.empty(5, device="meta"),
    "sparse": lambda: torch.zeros(5).to_sparse(),
}


class OneBad(Novel):
    """Answers what is ``bad`` for a row that begins with 6."""

    bad = ""

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Any:
        own = super().score(sequence, logits, tokens)
        return BAD[self.bad]() if sequence.canvas[0] == 6 else own


class OneBadOfAll(NovelAtOnce):
    bad = ""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Any]:
        found = zip(rows, super().score_all(rows), strict=True)
        return [BAD[cls.bad]() if each.sequence.canvas[0] == 6 else own for each, own in found]


@pytest.mark.parametrize("kind", [OneBad, OneBadOfAll])
@pytest.mark.parametrize("bad", BAD)
def test_a_score_that_cannot_be_read_is_the_fault_of_its_row(
    model: LLaDAModel, kind: type[Novel], bad: str
) -> None:
    """And no class is asked twice for it."""
    own = type(kind.__name__, (kind,), {"bad": bad})
    rows, plain = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (own, Novel))
    decoded(model, plain)
    _, errors = decoded(model, rows)
    assert list(errors) == [rows[2]]
    assert told(rows[:2] + rows[3:]) == told(plain[:2] + plain[3:])


class Filters(NovelAtOnce):
    """Empties the list that it is given."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [super(Filters, cls).score_all([rows.pop(0)])[0] for _ in range(len(rows))]


class FiltersForOne(NovelAtOnce):
    """Answers for all rows but the one that begins with 6."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        rows[:] = [each for each in rows if each.sequence.canvas[0] != 6]
        return [-each.confidence for each in rows]


def test_a_rule_may_do_with_its_list_of_rows_what_it_likes(model: LLaDAModel) -> None:
    rows, plain = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (Filters, Novel))
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows) == told(plain)


def test_who_answers_for_some_of_the_rows_is_asked_for_each(model: LLaDAModel) -> None:
    rows = [row(model, FiltersForOne(0.5), prompt) for prompt in PROMPTS]
    _, errors = decoded(model, rows)
    assert list(errors) == [rows[2]]
    with pytest.raises(
        ContractError, match=r"FiltersForOne.score_all returned a list of 0 for 1 rows; return"
    ):
        raise errors[rows[2]]


class Emptied(Threshold):
    """Empties the lists that it is given of what stands."""

    __slots__ = ()
    revokes = True

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        return [() for _ in range(len(rows)) if rows.pop()]

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        return [{} for _ in range(len(rows)) if rows.pop()]


class OneList(Emptied):
    """Clears one list and fills it again, each time that it is asked for a row."""

    __slots__ = ()
    columns: list[int] = []  # noqa: RUF012  # that is what is tried

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        stood = [column for column in range(start, start + len(logits)) if sequence.may_revoke(column)]
        self.columns[:] = [] if sequence.nfe > 5 else stood[:1]
        return self.columns


class OneListThrough(OneList):
    __slots__ = ()

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        return super().revoke_all(rows)


def test_columns_that_a_rule_writes_into_one_list_are_read_before_the_next_is_asked(
    model: LLaDAModel,
) -> None:
    rows, plain = ([row(model, each(0.9), p) for p in PROMPTS] for each in (OneListThrough, OneList))
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows) == told(plain)


class Wordy(Emptied):
    """Names a token of more digits than Python writes, where a row begins with 6."""

    __slots__ = ()

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        stood = [
            [c for c in range(r.start, r.start + len(r.logits)) if r.sequence.may_revoke(c)] for r in rows
        ]
        named = zip(rows, stood, strict=True)
        return [dict.fromkeys(c[:1], 10**5000) if r.sequence.canvas[0] == 6 else {} for r, c in named]


@pytest.mark.parametrize(("kind", "failed"), [(Emptied, []), (Wordy, [2])])
def test_what_is_said_of_tokens_that_stand_ends_no_other_row(
    model: LLaDAModel, kind: type[Threshold], failed: list[int]
) -> None:
    rows, plain = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (kind, Threshold))
    decoded(model, plain)
    _, errors = decoded(model, rows)
    sound = [at for at in range(len(PROMPTS)) if at not in failed]
    assert list(errors) == [rows[at] for at in failed]
    assert told([rows[at] for at in sound]) == told([plain[at] for at in sound])


class OneBuffer(Novel):
    """Writes its scores into the same tensor each time."""

    buffer = torch.zeros(8, dtype=torch.float64)

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        own = super().score(sequence, logits, tokens)
        assert own is not None
        return self.buffer[: len(own)].copy_(own)


class OneBufferDoubled(OneBuffer):
    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [None if own is None else 2 * own for own in super().score_all(rows)]


@pytest.mark.parametrize(("kind", "threshold"), [(OneBuffer, 0.5), (OneBufferDoubled, 1.0)])
def test_scores_that_a_rule_writes_into_one_tensor_are_read_before_the_next_is_asked(
    model: LLaDAModel, kind: type[Novel], threshold: float
) -> None:
    rules = kind(threshold), Novel(0.5)
    rows, plain = ([row(model, rule, prompt) for prompt in PROMPTS] for rule in rules)
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows) == told(plain)
