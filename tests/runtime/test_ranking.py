"""A rule class that scores the proposals of all its rows sees them at once, and its rows are those of one
that does not."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_core.testing import ConformanceError, run_checks
from llada_runtime import LLaDAModel, Proposed, Rule, Sequence, Threshold, probability
from llada_runtime.decoding import ranking
from llada_runtime.reference import follow
from llada_runtime.testing import FakeNetwork, small_llada
from llada_runtime.testing.policies import policy_checks
from tests.runtime.test_combining import decoded, told
from tests.runtime.test_revising import row

PROMPTS = [[1, 2, 3], [4, 5], [6], [9, 8, 7, 6], [5, 5, 1, 2, 3, 4]]


class Novel(Threshold):
    """Ranks by how improbable a token is and how often it was proposed there, which it remembers."""

    def begin(self) -> list[int]:
        return []

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        return novelty(sequence, probability(logits, tokens), tokens)


def novelty(sequence: Sequence, sure: Tensor, tokens: Tensor) -> Tensor:
    often = torch.tensor([sequence.rule_state.count(token) for token in tokens.tolist()])
    sequence.rule_state.extend(tokens.tolist())
    return often - sure


class NovelAtOnce(Novel):
    """The same, of all rows. ``asked`` are the rows that it was asked for."""

    asked: list[list[Proposed]]

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        cls.asked.append(rows)
        return [novelty(row.sequence, row.confidence, row.tokens) for row in rows]


@pytest.fixture(autouse=True)
def asked() -> list[list[Proposed]]:
    NovelAtOnce.asked = []
    return NovelAtOnce.asked


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


def mixed(model: LLaDAModel, kind: type[Novel]) -> list[Sequence]:
    """Rows of different widths and parameters, one that ranks by confidence and one by chance among them."""
    rules = [kind(0.2), kind(1.5), Threshold(0.3), kind(3.0), kind(0.2)]
    rows = [row(model, *each, gen_length=10 - at) for at, each in enumerate(zip(rules, PROMPTS, strict=True))]
    by_chance = row(model, kind(0.5), [7, 7], gen_length=7, random_order=True, seed=5)
    return [*rows[:2], by_chance, *rows[2:]]


def test_all_rows_are_seen_at_once_and_are_those_that_are_asked_one_by_one(
    model: LLaDAModel, asked: list[list[Proposed]]
) -> None:
    plain, at_once = mixed(model, Novel), mixed(model, NovelAtOnce)
    decoded(model, plain)
    assert not asked
    steps, errors = decoded(model, at_once)
    assert not errors
    assert told(at_once) == told(plain) == [follow(model, each) for each in mixed(model, Novel)]
    seen = [[at_once.index(each.sequence) for each in rows] for rows in asked[:steps]]
    assert seen[0] == [0, 1, 4, 5]  # neither who ranks by confidence, nor who does by chance
    assert len({each.nfe for each in at_once}) > 2


def test_what_is_proposed_is_all_that_a_rule_is_given(model: LLaDAModel) -> None:
    class Looks(Threshold):
        @classmethod
        def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
            for each in rows:
                assert each.rule is each.sequence.rule
                width = each.sequence.block_end - each.sequence.block_start
                assert each.logits.shape == (width, model.config.embedding_size)
                assert (each.tokens.shape, each.tokens.dtype) == ((width,), torch.int64)
                assert torch.equal(each.confidence, probability(each.logits, each.tokens))
                assert (each.logits[:, each.sequence.mask_id] == -torch.inf).all()
            return [None, *[-each.confidence for each in rows[1:]]]

    rows = [row(model, Looks(0.1), prompt, gen_length=4 + at) for at, prompt in enumerate(PROMPTS)]
    assert not decoded(model, rows)[1]
    alone = row(model, Threshold(0.1), PROMPTS[0], gen_length=4)
    follow(model, alone)
    assert told(rows[:1]) == told([alone])


def test_a_rule_that_is_no_rule_is_asked_by_itself(model: LLaDAModel) -> None:
    """Whatever it calls ``score_all``."""

    class Own:
        rescores = revokes = idles = False
        score_all = None

        def begin(self) -> list[int]:
            return []

        def keeps(self, sequence: Sequence) -> None:
            return None

        def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
            return novelty(sequence, probability(logits, tokens), tokens)

        @classmethod
        def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
            return Novel.choose(torch.full((len(sequences), 1), 0.2), scores, open_)

    rows, plain = ([row(model, rule, each) for each in PROMPTS[:3]] for rule in (Own(), Novel(0.2)))
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert [each.canvas for each in rows] == [each.canvas for each in plain]


class OneTensor(Novel):
    """Writes scores into one tensor, which rules of other classes write to as well."""

    shared = torch.zeros(64, dtype=torch.float64)

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        own = torch.cat([novelty(each.sequence, each.confidence, each.tokens) for each in rows])
        cls.shared[: len(own)] = own
        return [*cls.shared[: len(own)].split([len(each.tokens) for each in rows])]


class OneTensorToo(OneTensor):
    pass


class OneFloatTensor(OneTensor):
    """Its scores are float32, and so no others."""

    shared = torch.zeros(64)

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [torch.zeros(len(each.tokens), dtype=torch.float32) - 1 for each in rows]


def test_scores_are_copied_before_the_next_class_is_asked(model: LLaDAModel) -> None:
    kinds: list[type[Novel]] = [OneTensor, OneTensorToo, OneTensor, OneTensorToo, OneFloatTensor]
    rows = [row(model, kind(0.5), prompt) for kind, prompt in zip(kinds, PROMPTS, strict=True)]
    plain = [row(model, Novel(0.5), prompt) for prompt in PROMPTS[:4]]
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows[:4]) == told(plain)


def test_however_many_rows_score_the_device_is_waited_for_once(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, real = list[int](), Tensor.cpu

    def cpu(self: Tensor) -> Tensor:
        waits.append(1)
        return real(self)

    rows = mixed(model, NovelAtOnce)
    steps = 0
    monkeypatch.setattr(Tensor, "cpu", cpu)
    steps, _ = decoded(model, rows)
    assert sum(waits) <= 2 * steps  # of tokens with confidences, and of scores


class Tripping(NovelAtOnce):
    """Raises, or returns something else, where a row that begins with 6 is among those it sees."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        if any(each.sequence.canvas[0] == 6 for each in rows):
            return cls.trip(rows)
        return super().score_all(rows)

    @classmethod
    def trip(cls, rows: list[Proposed]) -> Any:
        raise KeyError("tripped")


class TripsByNumber(Tripping):
    @classmethod
    def trip(cls, rows: list[Proposed]) -> Any:
        return [None] * 7


class TripsByATensor(Tripping):
    """As many, and no list."""

    @classmethod
    def trip(cls, rows: list[Proposed]) -> Any:
        return torch.zeros(len(rows), 5)


class TripsByOne(Tripping):
    """Returns what is ``bad`` of one row, and scores of the others."""

    bad: Any = 1.5

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        found = super(Tripping, cls).score_all(rows)
        marked = zip(rows, found, strict=True)
        return [cls.bad if each.sequence.canvas[0] == 6 else own for each, own in marked]


class TripsByWidth(TripsByOne):
    bad = torch.zeros(4)


class TripsByTruth(TripsByOne):
    bad = torch.zeros(5, dtype=torch.bool)


class TripsByNaN(TripsByOne):
    bad = torch.full((5,), torch.nan)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Tripping, "tripped"),
        (TripsByNumber, r"^TripsByNumber.score_all returned .* for 1 rows; return a list of what score retu"),
        (TripsByATensor, r"^TripsByATensor.score_all returned a tensor \[1, 5\].* for 1 rows; return a list"),
        (TripsByOne, r"^TripsByOne.score_all returned 1.5; of each row return floats \[5\], or None"),
        (TripsByWidth, r"^TripsByWidth.score_all returned a tensor \[4\].*; of each row return floats \[5\]"),
        (TripsByTruth, r"^TripsByTruth.score_all returned a tensor \[5\] of bool.*; of each row return"),
        (TripsByNaN, r"^TripsByNaN.score_all returned NaN; return numbers that can be compared"),
    ],
)
def test_the_culprit_of_several_rows_fails_alone(model: LLaDAModel, kind: type[Novel], words: str) -> None:
    rows, others = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (kind, Novel))
    decoded(model, others)
    _, errors = decoded(model, rows)
    assert list(errors) == [rows[2]]
    with pytest.raises((KeyError, ContractError)) as caught:
        raise errors[rows[2]]
    assert caught.match(words.removeprefix("^"))
    assert told(rows[:2] + rows[3:]) == told(others[:2] + others[3:])


class Spoiled(NovelAtOnce):
    """Fails before it scores, where a row begins with 6."""

    rescores = True

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        if sequence.canvas[0] == 6:
            raise KeyError("first")


def test_a_row_that_has_failed_is_not_asked(model: LLaDAModel, asked: list[list[Proposed]]) -> None:
    rows = [row(model, Spoiled(0.5), prompt) for prompt in PROMPTS]
    _, errors = decoded(model, rows)
    assert {each: repr(error) for each, error in errors.items()} == {rows[2]: "KeyError('first')"}
    assert asked
    assert all(each.sequence is not rows[2] for group in asked for each in group)


def test_scores_that_cannot_be_put_together_are_the_fault_of_their_rows(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And their rules are not asked twice, as they remember what they were asked."""

    def read(rows: list[Proposed], answers: list[Any]) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ranking, "_copied", read)
    rows, sound = [row(model, NovelAtOnce(0.5), each) for each in PROMPTS], row(model, Threshold(0.5), [1])
    _, errors = decoded(model, [*rows, sound])
    assert {type(error) for error in errors.values()} == {torch.OutOfMemoryError}
    assert set(errors) == set(rows)
    assert len(NovelAtOnce.asked) == 1
    assert sound.mask_id not in sound.canvas


class TheFirstsNovelty(NovelAtOnce):
    """Scores of each row what it would of its first."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        first = novelty(rows[0].sequence, rows[0].confidence, rows[0].tokens)
        return [first[[at % len(first) for at in range(len(each.tokens))]] for each in rows]


def test_the_kit_finds_one_that_mixes_rows() -> None:
    def failed(rule: Rule) -> list[str]:
        def made(network: FakeNetwork, prompt: Ids[int], gen_length: int) -> Sequence:
            return row(network, rule, [*prompt], gen_length=gen_length)

        try:
            run_checks("rows", policy_checks(made))
        except ConformanceError as found:
            return [each.check for each in found.failures]
        return []

    assert failed(NovelAtOnce(0.3)) == []
    assert failed(TheFirstsNovelty(0.3)) == ["its policy serves rows as if each were alone"]
