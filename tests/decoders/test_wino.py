"""WINO: published cases, what it takes back and who is told, and rows of it beside all others."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_core import ParameterError, Step
from llada_runtime import RemoteNetwork, Sequence, drain, probability
from tests.decoders.golden_data import Case, check_up_to_its_end, each_case, golden_cases
from tests.parity.parity_data import golden_model
from tests.support.replaying import replayed

REVOKING = {"threshold": 0.3, "threshold_back": 0.95}


def sequence_of(case: Case, **changes: Any) -> Sequence:
    decoder: Any = llada_core.get_algorithm("wino")
    params = decoder.validate_args(**{**case["params"], **changes})
    row: Sequence = decoder.sequence(golden_model(case["model"]), case["prompt"], params)
    return row


def steps_of(case: Case, **changes: Any) -> tuple[Sequence, list[Step]]:
    row = sequence_of(case, **changes)
    return row, list(drain(golden_model(case["model"]), [row], rows=1))


@each_case("wino")
def test_a_published_case_has_its_tokens_and_forwards_which_its_steps_tell(case: Case) -> None:
    """Each token that is taken back is told, and none of what has settled is."""
    row, steps = steps_of(case, early_stop=False)
    assert ([row.canvas], row.nfe) == (case["expected"]["sequences"], case["expected"]["nfe"])
    assert sum(len(step.revoked) for step in steps) == case["events"]["remasked"]
    assert replayed(steps, [None] * row.gen_length, empty=None) == row.canvas[row.prompt_length :]


def test_a_row_ends_with_the_block_that_its_end_token_is_in() -> None:
    """Before that block is full the end token, and what is before it, may still be taken back."""
    spared = 0
    for case in golden_cases("wino")[7:11]:
        row, _ = steps_of(case, early_stop=True)
        check_up_to_its_end(case, row)
        spared += case["expected"]["nfe"] - row.nfe
    assert spared > 0


def test_the_cases_take_back_up_to_their_limit_and_are_capped() -> None:
    events = [case["events"] for case in golden_cases("wino")]
    assert all(sum(each[name] for each in events) for name in ("remasked", "capped", "forced", "limited"))


def test_however_many_rows_there_are_one_look_a_step_judges_what_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each row's tokens are those of the row alone."""
    first, *_ = golden_cases("wino")
    cases = [case for case in golden_cases("wino") if case["model"] == first["model"]][:5]
    alone = [steps_of(case, **REVOKING)[0] for case in cases]
    looks: list[int] = []

    def counted(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        looks.append(len(tokens))
        return probability(logits, tokens)

    monkeypatch.setattr("llada_decoders.wino.probability", counted)
    rows = [sequence_of(case, **REVOKING) for case in cases]
    revoked = sum(len(step.revoked) for step in drain(golden_model(first["model"]), rows, rows=5))
    assert [(row.canvas, row.nfe) for row in rows] == [(row.canvas, row.nfe) for row in alone]
    assert revoked
    assert 0 < len(looks) < max(row.nfe for row in rows)


def test_a_short_last_block_has_a_short_shadow() -> None:
    (case,) = (case for case in golden_cases("wino") if case["id"] == "wi-pub-001-wino")
    row, steps = steps_of(case, gen_length=11, block_length=8, early_stop=False, **REVOKING)
    assert row.mask_id not in row.canvas
    assert [step.block for step in steps if step.finished] == [1]
    alone = llada_core.get_algorithm("wino").reference_answer(
        golden_model(case["model"]),
        case["prompt"],
        llada_core.get_algorithm("wino").validate_args(
            **{**case["params"], "gen_length": 11, "early_stop": False, **REVOKING}
        ),
    )
    assert (list(alone.token_ids), alone.nfe) == (row.canvas[row.prompt_length :], row.nfe)


def test_text_that_is_streamed_is_never_taken_back() -> None:
    """With a tokenizer: tokens come and go in the steps, and the text of what has settled only grows."""
    lm = llada_core.load_model(engine="fast-dllm")
    told, revoked = "", 0
    asked: dict[str, Any] = {"algorithm": "wino", "gen_length": 32, "block_length": 16, **REVOKING}
    for step in lm.stream("Count from 3 to 9.", **asked):
        text = step.ticket.text_before(step.settled)
        assert text.startswith(told)
        told, revoked = text, revoked + len(step.revoked)
        result = step.result
    assert revoked
    assert result is not None
    assert told == result.text == lm.generate("Count from 3 to 9.", **asked).text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"threshold_back": 1.5}, "threshold_back=1.5 is out of range; give a number from 0 to 1"),
        ({"threshold": None}, "threshold=None has the wrong type; give a number from 0 to 1"),
        ({"steps": 8}, "steps"),
        ({"remasking": "random"}, "remasking"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("wino").validate_args(**given)


def test_a_model_that_its_own_code_runs_is_refused() -> None:
    model = golden_model("gqa-96")
    own = RemoteNetwork(model, model.config)
    with pytest.raises(llada_core.AlgorithmUnavailable, match="whose attention cannot hide columns"):
        llada_core.get_algorithm("wino").generate(own, torch.tensor([[1, 2]]), gen_length=4)
