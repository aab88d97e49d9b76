"""FreeDave: the recorded cases of the published code, its promise, and drafts verified by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

import llada_core
from llada_core import ParameterError
from llada_decoders.freedave import Verified
from llada_decoders.verification import Adopted, Guess, adopted, drafts, predictions
from llada_runtime import LLaDAModel, Sequence, drain
from llada_runtime.testing import EOS, MASK, FakeNetwork, check_rule, constant_llada, small_llada
from tests.decoders.golden_data import Case, check_published, check_stopped, each_case, each_that_stops

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def rows(model: LLaDAModel, name: str, **given: Any) -> list[Sequence]:
    """Rows of random prompts, decoded together."""
    decoder, draw = llada_core.get_algorithm(name), random.Random(0)
    params = decoder.validate_args(**{"gen_length": 14, "block_length": 6, **given})
    prompts = [draw.choices(range(20), k=draw.randint(1, 9)) for _ in range(4)]
    made = [decoder.sequence(model, prompt, params) for prompt in prompts]
    assert not [step.error for step in drain(model, made, rows=4) if step.error is not None]
    return made


def published(case: Case) -> dict[str, Any]:
    """Upstream's arguments but those that are none here."""
    return {
        name: value for name, value in case["params"].items() if name not in ("draft_mode", "temperature")
    }


@each_case("freedave")
def test_tokens_and_forwards_are_upstreams(case: Case) -> None:
    check_published(case, "freedave", published(case))


@each_that_stops("freedave")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "freedave", published(case))


@pytest.mark.parametrize("cache", ["prefix", "dual"])
@pytest.mark.parametrize("early_stop", [False, True])
def test_the_text_is_that_of_one_token_a_step(model: LLaDAModel, cache: str, early_stop: bool) -> None:
    plain = rows(model, f"{cache}_cache", threshold=1.0, early_stop=early_stop)
    for steps in (1, 2, 5):
        drafted = rows(model, "freedave", cache=cache, draft_steps=steps, early_stop=early_stop)
        assert [row.canvas for row in drafted] == [row.canvas for row in plain]
        if not early_stop:
            saved = [one.nfe - row.nfe for one, row in zip(plain, drafted, strict=True)]
            assert min(saved) >= 0
            assert (sum(saved) > 0) == (steps > 1)


def test_however_many_rows_there_are_one_look_a_step_verifies_them(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def counted(logits: torch.Tensor, mask: int) -> Any:
        looks.append(len(logits))
        return predictions(logits, mask)

    monkeypatch.setattr("llada_decoders.freedave.predictions", counted)
    decoded = rows(model, "freedave", cache="dual", threshold=0.3, early_stop=False)
    assert len(looks) == max(row.nfe for row in decoded)
    assert looks[0] == 4 * 6  # the blocks, of which there are no drafts yet
    assert max(looks) > 4 * 6


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_rows_of_both_caches_and_of_other_decoders_share_forwards(
    model: LLaDAModel, threshold: float | None
) -> None:
    given = {"gen_length": 14, "block_length": 6, "early_stop": False}
    kinds = [("freedave", {"cache": cache, "threshold": threshold}) for cache in ("prefix", "dual")] * 2
    kinds += [("freedave", {"draft_steps": 1}), ("prefix_cache", {"threshold": 0.3})]

    def made(at: int, name: str, own: dict[str, Any]) -> Sequence:
        decoder = llada_core.get_algorithm(name)
        answer = [None] * (9 - at) + [3, None, 5]
        params = decoder.validate_args(**given, **own)
        return decoder.sequence(model, [at, 2, 3][: 1 + at % 3], params, answer=answer + [None] * (2 + at))

    together = [made(at, *kind) for at, kind in enumerate(kinds)]
    list(drain(model, together, rows=len(kinds)))
    for at, kind in enumerate(kinds):
        alone = made(at, *kind)
        list(drain(model, [alone], rows=1))
        assert (together[at].canvas, together[at].nfe) == (alone.canvas, alone.nfe)


# -- drafts and their verification, by hand


def logits(*rows: dict[int, float]) -> torch.Tensor:
    """Logits ``[L, 8]``: of each column tokens and how likely they are."""
    made = torch.full((len(rows), 8), -10.0)
    for at, row in enumerate(rows):
        for token, likely in row.items():
            made[at, token] = likely
    return made


def test_drafts_add_one_token_each() -> None:
    guessed = [Guess(0.9, 6, 3), Guess(0.5, 4, 2)]
    assert drafts([MASK, MASK, MASK], 4, guessed) == ((MASK, MASK, 3), (2, MASK, 3))
    assert drafts([MASK], 4, []) == ()


M = 7


def stands(states: list[list[int]], of_each: list[torch.Tensor], threshold: float | None = None) -> Adopted:
    """The state that stands by the logits of each, ``[L, 8]``."""
    return adopted(states, predictions(torch.cat(of_each), M), mask=M, threshold=threshold)


def test_the_last_right_draft_stands_with_its_own_logits() -> None:
    of_each = [
        logits({1: 9}, {2: 5}, {4: 1}),  # says that the second is right, and would write 4 then
        logits({1: 9}, {2: 5}, {5: 2}),  # says that it is 5 by then: the third is wrong
        logits({1: 9}, {2: 5}, {3: 9}),
    ]
    found = stands([[1, M, M], [1, 2, M], [1, 2, 3]], of_each)
    assert found.filled == {1}
    assert found.sources == [0, 0, 1]


def test_what_a_draft_has_filled_has_the_logits_that_proposed_it() -> None:
    of_each = [logits({1: 9}, {2: 5}, {3: 7}), logits({1: 9}, {2: 8}, {3: 7}), logits({1: 5}, {2: 4}, {3: 9})]
    found = stands([[M, M, M], [1, M, M], [1, 2, M]], of_each)
    assert found.filled == {0, 1}
    assert found.sources == [0, 1, 2]


def test_with_a_threshold_a_draft_may_be_passed_over() -> None:
    states = [[M, M, M], [M, M, 3], [M, 2, 3]]
    of_each = [logits({1: 1, 4: 1}, {2: 9}, {3: 9})] * 3
    assert stands(states, of_each, 0.9).filled == {1, 2}
    assert stands(states, of_each).filled == set()


def test_the_mask_is_never_drafted() -> None:
    of_each = [logits({M: 50}, {M: 50, 2: 3})] * 2
    assert stands([[M, M], [M, 2]], of_each).filled == {1}
    assert of_each[0][0, M] == 50  # the forward's own


def test_a_block_of_end_tokens_ends_the_answer() -> None:
    model = constant_llada(EOS)
    for early_exit, nfe in ((False, 3 * 2), (True, 2)):
        ended = rows(
            model, "freedave", gen_length=12, block_length=4, early_stop=False, early_exit=early_exit
        )
        assert {row.nfe for row in ended} == {nfe}
        assert all(row.canvas[row.prompt_length :] == [EOS] * 12 for row in ended)


@pytest.mark.parametrize(("middle", "ends"), [([EOS] * 4, True), ([EOS, 4, EOS, EOS], False)])
def test_only_a_block_of_nothing_else_ends_the_answer(middle: list[int], ends: bool) -> None:
    expected = [4] * 4 + middle + [4] * 4
    network = FakeNetwork.scripted(tokens=[4, 4, *expected], confidence=0.9)
    decoder = llada_core.get_algorithm("freedave")
    given = {"gen_length": 12, "block_length": 4, "early_stop": False, "early_exit": True}
    sequence = decoder.sequence(network, [5, 9], decoder.validate_args(**given))
    steps = list(drain(network, [sequence], rows=1))
    assert not [step.error for step in steps if step.error is not None]
    assert sequence.canvas[2:] == ([4] * 4 + [EOS] * 8 if ends else expected)


def test_its_rule_keeps_the_contract() -> None:
    assert check_rule(Verified(0.8))
    assert check_rule(Verified(None))


def test_the_published_names_are_taken() -> None:
    decoder = llada_core.get_algorithm("freedave")
    assert decoder.validate_args(dual_cache=True)["cache"] == "dual"
    assert decoder.validate_args(dual_cache=False)["cache"] == "prefix"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"cache": "none"}, "cache"),
        ({"draft_steps": 0}, "draft_steps"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("freedave").validate_args(**given)
