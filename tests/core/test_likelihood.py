"""Log-likelihoods on a network so small that all masks can be looked at."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations, permutations
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pytest

from llada_core.errors import (
    AlgorithmUnavailable,
    GenerationError,
    NumericalError,
    ParameterError,
    PromptError,
    TokenizerMissing,
    UsageError,
)
from llada_core.generation import likelihood
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.likelihood import Estimate, LogLikelihood, Text
from llada_core.generation.likelihoods import likelihoods, texts_of
from llada_core.generation.model import Model
from llada_core.generation.odds import Look, Odds
from llada_core.generation.prompts import Limits

MASK, VOCABULARY = 0, 6
CONTEXT, TEXT = [3, 1], [2, 5, 1, 4]
METHODS = [{"samples": 9}, {"method": "chain"}, {"method": "chain", "order": "most_confident"}]
MODEL = Model(
    path="the model",
    network=object(),
    tokenizer=None,
    end_tokens=(),
    pad_id=0,
    limits=Limits(mask_id=MASK, vocab_size=VOCABULARY, max_length=16),
)


@cache
def told(canvas: tuple[int, ...], column: int) -> list[float]:
    """Logs of the probabilities of all tokens there: any, but always the same."""
    source = random.Random(repr((canvas, column)))
    odds = [0.0, *(source.random() ** 3 for _ in range(VOCABULARY - 1))]
    return [math.log(each / sum(odds)) if each else -math.inf for each in odds]


def odds_of(look: Look, count: int) -> list[Odds]:
    found = []
    for column, token in zip(look.columns, look.tokens, strict=True):
        assert look.canvas[column] == MASK
        logs = told(look.canvas, column)
        ranked = sorted(range(1, VOCABULARY), key=lambda each: -logs[each])[:count]
        found.append(Odds(logs[token], tuple((each, logs[each]) for each in ranked)))
    return found


class Tells(GenerationAlgorithm):
    """Tells odds, and remembers what it was asked, how many rows each forward had, and of how many columns
    each row told."""

    name = "tells"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.looks: list[Look] = []

    def load_model_class(self) -> Any:
        raise NotImplementedError

    def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
        raise NotImplementedError

    def token_odds(self, model: Any, looks: Sequence[Look], *, likeliest: int = 1) -> list[list[Odds]]:
        self.rows.append(len(looks))
        self.looks += looks
        self.columns += [len(look.columns) for look in looks]
        return [odds_of(look, likeliest) for look in looks]


def measured(
    *pairs: tuple[Any, Any], by: GenerationAlgorithm | None = None, **how: Any
) -> list[LogLikelihood]:
    algorithm = by or Tells()
    texts = texts_of(algorithm, MODEL, pairs, raw=False)
    found: dict[int, LogLikelihood] = {}
    for ended in likelihoods(algorithm, MODEL, texts, Estimate.of(how)):
        found.update(ended)
    return [found[number] for number in range(len(pairs))]


def of_text(**how: Any) -> LogLikelihood:
    return measured((CONTEXT, TEXT), **how)[0]


def logs_under(masked: Sequence[int]) -> dict[int, list[float]]:
    canvas = (*CONTEXT, *(MASK if place in masked else TEXT[place] for place in range(len(TEXT))))
    return {place: told(canvas, len(CONTEXT) + place) for place in masked}


def weighted(masked: Sequence[int]) -> float:
    return sum(logs[TEXT[place]] for place, logs in logs_under(masked).items()) * len(TEXT) / len(masked)


def expected() -> float:
    """The mean over how many are masked, and over which, of all sets of masks."""
    lengths = range(1, len(TEXT) + 1)
    return fmean(fmean(map(weighted, combinations(range(len(TEXT)), length))) for length in lengths)


def chained(order: Sequence[int]) -> float:
    """The product of the probabilities of the tokens, given in this order."""
    return math.fsum(logs_under(sorted(order[turn:]))[place][TEXT[place]] for turn, place in enumerate(order))


def walked() -> tuple[list[int], bool]:
    """The order in which the surest place comes first, and whether the network writes the text itself."""
    left, order, written = list(range(len(TEXT))), [], []
    while left:
        logs = logs_under(left)
        place = max(left, key=lambda each: (max(logs[each]), -each))
        written.append(logs[place].index(max(logs[place])) == TEXT[place])
        order.append(place)
        left.remove(place)
    return order, all(written)


@pytest.mark.parametrize("samples", [2, 7, 14])
def test_the_estimate_is_unbiased_and_its_standard_error_is_what_seeds_differ_by(samples: int) -> None:
    found = [of_text(samples=samples, seed=seed) for seed in range(800)]
    values, errors = [each.value for each in found], [each.standard_error or 0.0 for each in found]
    spread = math.sqrt(fmean(error**2 for error in errors))
    assert abs(fmean(values) - expected()) < 4 * spread / math.sqrt(len(found))
    assert pstdev(values) == pytest.approx(spread, rel=0.1)
    if samples == 14:
        assert all(abs(each.value - expected()) < 6 * (each.standard_error or 0.0) for each in found[:20])


def test_spreading_the_draws_tells_more_than_drawing_each_by_itself() -> None:
    """By itself: one sample a seed."""
    alone = pstdev(of_text(samples=1, seed=seed).value for seed in range(800))
    spread = pstdev(of_text(samples=14, seed=seed).value for seed in range(800))
    assert spread < 0.95 * alone / math.sqrt(14)


@pytest.mark.parametrize("samples", [15, None])
def test_a_text_of_no_more_masks_than_samples_is_summed_over_all_of_them(samples: int | None) -> None:
    found = of_text(samples=samples)
    assert found.value == pytest.approx(expected(), abs=1e-12)
    assert (found.standard_error, found.samples, found.nfe) == (0.0, None, 2 ** len(TEXT) - 1)
    drawn = of_text(samples=14)
    assert drawn.standard_error
    assert (drawn.samples, drawn.nfe) != (None, found.nfe)


def test_a_chain_is_the_product_of_its_conditionals() -> None:
    found = of_text(method="chain", likeliest=2)
    assert found.value == pytest.approx(chained(range(len(TEXT))), abs=1e-12)
    assert found.conditionals is not None
    assert math.fsum(each.log_probability for each in found.conditionals) == found.value
    assert {len(each.likeliest) for each in found.conditionals} == {2}
    assert (found.standard_error, found.samples, found.tokens) == (0.0, None, len(TEXT))


def test_a_chain_holds_no_mask_of_its_own_for_each_token() -> None:
    length = 2000
    text = Text(context=(), tokens=(1,) * length, mask_id=MASK)
    tracemalloc.start()
    try:
        questions = next(likelihood.measured(text, Estimate(method="chain", greedy=False)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(masked) for masked, _ in questions] == list(range(length, 0, -1))
    assert peak < 1000 * length, "in bytes: as lists of places they would take 4 times as many a token"


def test_a_chain_asks_of_one_token_a_forward() -> None:
    algorithm = Tells()
    (found,) = measured((CONTEXT, TEXT), by=algorithm, method="chain", greedy=False)
    assert algorithm.columns == [1] * len(TEXT)
    greedy = of_text(method="chain")
    assert (found.value, found.conditionals) == (greedy.value, greedy.conditionals)


def test_a_chain_shares_the_masks_under_which_the_model_writes() -> None:
    """Of two tokens the first mask is of both, and the second one of either."""
    pairs = [([3], [first, second]) for first in range(1, VOCABULARY) for second in range(1, VOCABULARY)]
    for pair, found in zip(pairs, measured(*pairs, method="chain"), strict=True):
        (walk,) = measured(pair, method="chain", order="most_confident")
        assert found.is_greedy is walk.is_greedy is measured(pair, samples=1)[0].is_greedy
        left_first = max(told((3, MASK, MASK), 1)) >= max(told((3, MASK, MASK), 2))
        begun = told((3, MASK, MASK), 1 if left_first else 2)
        goes_on = begun.index(max(begun)) == pair[1][0 if left_first else 1]
        assert found.nfe == (3 if goes_on and not left_first else 2)


def test_the_most_confident_chain_gives_each_token_where_the_network_is_surest() -> None:
    order, _ = walked()
    found = of_text(method="chain", order="most_confident")
    assert found.value == pytest.approx(chained(order), abs=1e-12)
    assert found.nfe == len(TEXT)


def test_the_estimate_is_of_the_mean_over_all_orders_of_the_chain() -> None:
    orders = list(permutations(range(len(TEXT))))
    assert fmean(map(chained, orders)) == pytest.approx(expected(), abs=1e-12)


@pytest.mark.parametrize("empty", [[], (), np.array([], dtype=int)], ids=["list", "tuple", "array"])
def test_a_context_of_no_ids_is_none(empty: Any) -> None:
    assert measured((empty, TEXT), samples=2) == measured(([], TEXT), samples=2)


def test_a_text_is_greedy_where_the_network_writes_it_itself() -> None:
    assert of_text(samples=1).is_greedy is walked()[1] is False
    written: list[int] = [MASK] * 3
    while MASK in written:
        left = [place for place, token in enumerate(written) if token == MASK]
        logs = {place: told((*CONTEXT, *written), len(CONTEXT) + place) for place in left}
        place = max(left, key=lambda each: (max(logs[each]), -each))
        written[place] = logs[place].index(max(logs[place]))
    (found,) = measured((CONTEXT, written), samples=1)
    assert found.is_greedy is True
    assert measured((CONTEXT, written), samples=1, greedy=False)[0].is_greedy is None


@pytest.mark.parametrize("how", METHODS)
def test_no_value_depends_on_the_batch_or_on_other_texts(how: dict[str, Any]) -> None:
    pairs = [(CONTEXT, TEXT), ([5], [1]), ([], [4, 4]), ([2, 2, 2], [3, 1, 2, 5, 5])]
    alone = [measured(pair, batch_size=1, **how)[0] for pair in pairs]
    for size in (1, 3, 64):
        assert measured(*pairs, batch_size=size, **how) == alone
        assert measured(*reversed(pairs), batch_size=size, **how) == alone[::-1]


def looked_at(text: list[int], context: list[int] = CONTEXT, **how: Any) -> list[tuple[int, ...]]:
    """The places that were masked, in the order of the draws."""
    algorithm = Tells()
    measured((context, text), by=algorithm, samples=8, greedy=False, **how)
    return [tuple(column - len(context) for column in look.columns) for look in algorithm.looks]


def test_masks_are_drawn_by_the_seed_and_the_context() -> None:
    """The answers to a question are compared under the same ones, and documents have others."""
    answers = [[1, 2, 3, 4, 5, 1, 2, 3], [5, 5, 1, 1, 4, 4, 3, 2]]
    drawn = looked_at(answers[0])
    assert looked_at(answers[1]) == drawn == looked_at(answers[0], paired=True, seed=0)
    others = [looked_at(answers[0], [3, 2]), looked_at(answers[0], []), looked_at(answers[0], seed=1)]
    parts = [looked_at(each, paired=False) for each in answers]
    found = [drawn, *others, *parts]
    assert all(found.count(each) == 1 for each in found)
    assert looked_at(answers[0], paired=False) == parts[0], "and the same ones again"


def test_masks_of_several_texts_share_forwards_and_none_is_looked_at_twice() -> None:
    algorithm = Tells()
    found = measured(*[([each], [2]) for each in (1, 2, 3, 4, 5)], by=algorithm, batch_size=4)
    assert algorithm.rows == [4, 1]
    assert [each.nfe for each in found] == [1] * 5
    many = of_text(samples=1000)
    assert many.nfe == 2 ** len(TEXT) - 1


class Small(Tells):
    """Memory for so many columns, whosever they are."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def token_odds(self, model: Any, looks: Sequence[Look], *, likeliest: int = 1) -> list[list[Odds]]:
        if sum(len(look.canvas) for look in looks) > self.most:
            raise MemoryError("the device is full")
        return super().token_odds(model, looks, likeliest=likeliest)


@pytest.mark.parametrize("most", [6, 20, 40])
def test_a_batch_that_memory_does_not_hold_is_asked_for_in_parts(most: int) -> None:
    pairs = [(CONTEXT, TEXT), ([5], [1, 3, 2]), (CONTEXT, TEXT[::-1])]
    algorithm = Small(most)
    assert measured(*pairs, by=algorithm) == measured(*pairs)
    assert 1 <= max(algorithm.rows) <= most // 4
    assert sum(algorithm.rows) == sum(each.nfe for each in measured(*pairs))


def test_a_text_that_memory_never_holds_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        GenerationError, match=r"one canvas of 6 columns .*device is full.*shorten the context"
    ):
        measured((CONTEXT, TEXT), by=Small(5))


def test_a_forward_has_so_many_columns_of_logits_or_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = of_text()
    for most in (1, 9):
        monkeypatch.setattr("llada_core.generation.likelihoods._HEADS", most)
        algorithm = Tells()
        assert measured((CONTEXT, TEXT), by=algorithm) == [alone]
        assert (max(algorithm.rows) == 1) is (most == 1)
        columns = iter(algorithm.columns)
        for rows in algorithm.rows:
            told = sum(next(columns) for _ in range(rows))
            assert rows == 1 or told <= most


class Instead(Tells):
    """Tells another number of the token 4."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def token_odds(self, model: Any, looks: Sequence[Look], *, likeliest: int = 1) -> list[list[Odds]]:
        told = super().token_odds(model, looks, likeliest=likeliest)
        return [
            [
                replace(odds, log_probability=self.number) if token == 4 else odds
                for token, odds in zip(look.tokens, row, strict=True)
            ]
            for look, row in zip(looks, told, strict=True)
        ]


@pytest.mark.parametrize("how", METHODS)
def test_what_is_no_number_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(NumericalError, match="load the model in float32"):
        measured((CONTEXT, TEXT), by=Instead(math.nan), **how)


@pytest.mark.parametrize("how", METHODS)
def test_a_text_that_the_network_rules_out_has_no_probability_for_sure(how: dict[str, Any]) -> None:
    ruled_out, other = measured((CONTEXT, TEXT), (CONTEXT, TEXT[:-1]), by=Instead(-math.inf), **how)
    assert (ruled_out.value, ruled_out.standard_error, ruled_out.is_greedy) == (-math.inf, 0.0, False)
    assert other == measured((CONTEXT, TEXT[:-1]), **how)[0]


def test_of_a_text_that_has_ended_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Text] = []

    def begins(text: Text, estimate: Estimate) -> Any:
        begun.append(text)
        return likelihood.measured(text, estimate)

    monkeypatch.setattr("llada_core.generation.likelihoods.measured", begins)
    algorithm = Tells()
    texts = texts_of(algorithm, MODEL, [(CONTEXT, TEXT)] * 3, raw=False)
    for ended in likelihoods(algorithm, MODEL, texts, Estimate(batch_size=1)):
        for number, _ in ended:
            assert not texts[number].seen
            assert begun == texts[: number + 1], "those to come have asked nothing yet"
    assert begun == texts


def test_one_token_leaves_nothing_to_chance_and_one_sample_tells_of_no_error() -> None:
    (one,) = measured((CONTEXT, [4]), samples=1)
    assert (one.value, one.standard_error) == (told((*CONTEXT, MASK), 2)[4], 0.0)
    assert of_text(samples=1).standard_error is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"method": "exact"}, "give 'monte_carlo' or 'chain'"),
        ({"method": "chain", "order": "random"}, "give 'left_to_right' or 'most_confident'"),
        ({"method": "chain", "samples": 4}, "samples is of method='monte_carlo'"),
        ({"method": "chain", "seed": 4}, "seed is of method='monte_carlo'"),
        ({"order": "left_to_right"}, "order is of method='chain'"),
        ({"samples": 0}, "samples=0 .* is no count"),
        ({"batch_size": True}, "batch_size=True .* is no count"),
        ({"likeliest": 0}, "likeliest=0 .* is no count"),
        ({"seed": 0.5}, "seed=0.5 .* is no seed"),
        ({"greedy": 1}, "greedy=1 .* is neither"),
        ({"greedy": None}, "greedy=None .* is neither"),
        ({"paired": 1}, "paired=1 .* is neither"),
        ({"method": "chain", "paired": False}, "paired is of method='monte_carlo'"),
        ({"sample": 4}, "did you mean samples"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        of_text(**how)


@pytest.mark.parametrize(
    ("pair", "error", "said"),
    [
        ((CONTEXT, []), PromptError, "has no tokens"),
        ((CONTEXT, [MASK]), PromptError, "holds the mask token"),
        ((CONTEXT, [VOCABULARY]), PromptError, "out of the vocabulary"),
        (([MASK], TEXT), PromptError, "holds the mask token"),
        ((CONTEXT, "a"), TokenizerMissing, "no tokenizer"),
        ((CONTEXT, [1] * 15), ParameterError, "shorten the context by 1"),
        ((CONTEXT,), PromptError, "is no pair"),
    ],
)
def test_a_text_that_no_network_can_be_asked_of_is_refused(pair: Any, error: Any, said: str) -> None:
    algorithm = Tells()
    with pytest.raises(error, match=said):
        measured((CONTEXT, TEXT), pair, by=algorithm)
    assert not algorithm.rows, "nothing was run"


def test_an_algorithm_that_runs_no_network_says_so() -> None:
    class Opaque(Tells):
        token_odds = GenerationAlgorithm.token_odds

    with pytest.raises(AlgorithmUnavailable, match="cannot tell a likelihood"):
        measured((CONTEXT, TEXT), by=Opaque())
