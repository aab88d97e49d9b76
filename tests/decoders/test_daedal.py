"""DAEDAL: published cases, what its steps tell of an answer that grows, and rows of it beside all others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch

import llada_core
from llada_core import AlgorithmUnavailable, GenerationRequest, ParameterError, Step
from llada_runtime import Sequence, drain
from llada_runtime.testing import EOS, FakeConfig, FakeNetwork
from tests.decoders.golden_data import Case, check_up_to_its_end, each_case, golden_cases
from tests.parity.parity_data import golden_model
from tests.support.replaying import replayed
from tests.support.served import served_client

FINDING: Mapping[str, Any] = {
    "initial_gen_length": 8, "gen_length": 40, "block_length": 8, "high_conf_threshold": 0.8,
    "low_conf_threshold": 0.7, "expansion_factor": 4, "eos_confidence_threshold": 0.0,
    "expand_eos_confidence_threshold": 1.5, "eos_check_tokens": 4,
}  # fmt: skip


def steps_of(case: Case, **changes: Any) -> tuple[Sequence, list[Step]]:
    decoder: Any = llada_core.get_algorithm("daedal")
    model = golden_model(case["model"])
    row: Sequence = decoder.sequence(
        model, case["prompt"], decoder.validate_args(**{**case["params"], **changes})
    )
    return row, list(drain(model, [row], rows=1))


@each_case("daedal")
def test_a_published_case_has_its_tokens_and_forwards_which_its_steps_tell(case: Case) -> None:
    """They tell where the answer grows, and the canvas is theirs."""
    row, steps = steps_of(case, early_stop=False)
    assert ([row.canvas], row.nfe) == (case["expected"]["sequences"], case["expected"]["nfe"])
    events, params = case["events"], case["params"]
    factor = params["expansion_factor"]
    told = [inserted for step in steps for inserted in step.inserted]
    appended = events["grown"] + events["inserted"]
    assert len(told) in (appended, appended + 1)  # and the first end tokens, where there is room
    assert all(count <= max(factor, params["eos_check_tokens"] // 2) for _, count in told)
    assert (
        replayed(steps, [None] * params["initial_gen_length"], empty=None) == row.canvas[row.prompt_length :]
    )
    assert row.gen_length <= row.longest == params["max_gen_length"]


def test_a_row_may_end_at_its_end_token_as_nothing_before_it_moves() -> None:
    spared = 0
    for case in golden_cases("daedal")[5:11]:
        row, _ = steps_of(case, early_stop=True)
        check_up_to_its_end(case, row)
        spared += case["expected"]["nfe"] - row.nfe
    assert spared > 0


def test_nothing_is_put_in_once_the_row_has_ended() -> None:
    """The end comes first, and the weakest position, where masks would come in, is left open behind it."""
    tokens = [4, 4, EOS, *[4] * 39]
    network = FakeNetwork.scripted(tokens, [0.5, 0.5, 0.9, *[0.3] * 39])
    decoder: Any = llada_core.get_algorithm("daedal")
    told = []
    for early_stop in (True, False):
        params = decoder.validate_args(**FINDING, early_stop=early_stop)
        row = decoder.sequence(network, [5, 9], params)
        steps = list(drain(network, [row], rows=1))
        assert not [step.error for step in steps if step.error]
        told.append([step.inserted for step in steps])
    (ended, goes_on) = told
    assert ended == [*goes_on[: len(ended) - 1], ()]
    assert goes_on[len(ended) - 1]


def test_the_cases_grow_insert_cut_and_force() -> None:
    events = [case["events"] for case in golden_cases("daedal")]
    assert all(sum(each[name] for each in events) for name in ("grown", "inserted", "cut", "forced"))


@pytest.mark.parametrize("case", golden_cases("daedal")[2::6], ids=lambda case: case["id"])
def test_the_reference_finds_the_same_length(case: Case) -> None:
    decoder = llada_core.get_algorithm("daedal")
    params = decoder.validate_args(**case["params"], early_stop=False)
    found = decoder.reference_answer(golden_model(case["model"]), case["prompt"], params)
    (published,) = case["expected"]["sequences"]
    assert list(found.token_ids) == published[len(case["prompt"]) :]
    assert found.nfe == case["expected"]["nfe"]


def test_drawn_tokens_are_judged_as_they_were_drawn() -> None:
    """At a high temperature improbable tokens are drawn, and each of them makes the answer grow."""
    (case,) = (case for case in golden_cases("daedal") if case["id"] == "da-pub-010-no-insert")
    doubted = {"low_conf_threshold": 0.02, "high_conf_threshold": 0.98, "seed": 3, "early_stop": False}
    (_, cool), (hot, steps) = (
        steps_of(case, temperature=temperature, **doubted) for temperature in (0.0, 4.0)
    )
    inserted = [sum(len(step.inserted) for step in each) for each in (cool, steps)]
    assert inserted[0] < inserted[1]
    assert hot.mask_id not in hot.canvas


def test_guidance_begins_with_the_blocks_and_goes_on_where_an_answer_has_grown() -> None:
    """The first length is found without it; the canvas whose prompt is masked grows as the other does."""
    case = next(case for case in golden_cases("daedal") if case["id"] == "da-pub-004-grow")
    decoder: Any = llada_core.get_algorithm("daedal")
    (plain, _), (guided, steps) = (steps_of(case, cfg_scale=scale, early_stop=False) for scale in (0.0, 1.5))
    assert [step.inserted for step in steps][:2] == [((12, 6),), ((18, 6),)]  # as it grows unguided
    assert guided.canvas != plain.canvas
    assert guided.mask_id not in guided.canvas
    params = decoder.validate_args(**{**case["params"], "cfg_scale": 1.5, "early_stop": False})
    written_out = decoder.reference_answer(golden_model(case["model"]), case["prompt"], params)
    assert (list(written_out.token_ids), written_out.nfe) == (
        guided.canvas[guided.prompt_length :],
        guided.nfe,
    )


# -- with a text: requests of a loaded model


def test_text_confidence_and_trajectory_are_of_the_answer_as_it_stands_in_the_end() -> None:
    lm = llada_core.load_model(engine="fast-dllm")
    request = GenerationRequest(
        prompt="What is 12 + 30?", algorithm="daedal", parameters={**FINDING}, logprobs=1, trajectory=True
    )
    told, steps, result = "", list[Step](), None
    with lm.session(rows=1) as session:
        ticket = session.submit(request)
        for step in session:
            text = step.ticket.text_before(step.settled)
            assert text.startswith(told)
            told, result = text, step.result
            steps.append(step)
    assert result is not None
    assert result.trajectory is not None
    assert any(step.inserted for step in steps)
    assert told == result.text
    kept = {
        place: token
        for place, token in enumerate(replayed(steps, [None] * 8, empty=None))
        if token is not None
    }
    assert tuple(kept[place] for place in range(len(result.token_ids))) == result.token_ids
    assert dict(zip(result.trajectory.positions, result.trajectory.token_ids, strict=True)) == kept
    assert result.trajectory.length == ticket.gen_length == steps[-1].gen_length
    assert result.confidence is not None
    assert (
        list(result.confidence)
        == replayed(steps, [None] * 8, empty=None, what="confidence")[: len(result.token_ids)]
    )


def test_frames_of_a_stream_tell_where_masks_are_put_in() -> None:
    lm = llada_core.load_model(engine="fast-dllm")
    asked = {"prompt": "What is 12 + 30?", "algorithm": "daedal", "early_stop": False, **FINDING}
    with served_client(lm, "fast-dllm") as client:
        told = client.post(
            "/v1/completions", json={**asked, "stream": True, "stream_options": {"denoise": True}}
        )
        assert told.status_code == 200, told.text
        whole = client.post("/v1/completions", json=asked).json()
    lines = [line.removeprefix("data: ") for line in told.text.split("\n\n") if line]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    frames = [event for event in events if event["object"] == "generation.denoise"]
    canvas: list[int | None] = [None] * FINDING["initial_gen_length"]
    for frame in frames:
        for offset, count in frame["inserted"]:
            canvas[offset:offset] = [None] * count
        del canvas[frame["gen_length"] :]
        for position, token in zip(frame["positions"], frame["tokens"], strict=True):
            assert canvas[position] is None
            canvas[position] = token
    assert None not in canvas
    assert len(canvas) > FINDING["initial_gen_length"]
    text = "".join(event["choices"][0]["text"] for event in events if event["choices"])
    assert text == whole["choices"][0]["text"]


# -- what is refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expansion_factor": 0}, "expansion_factor=0 is out of range; give an integer, 1 or more"),
        ({"eos_check_tokens": 0}, "eos_check_tokens=0 is out of range"),
        ({"low_conf_threshold": 1.5}, "low_conf_threshold=1.5 is out of range"),
        ({"threshold": 0.9}, "threshold"),
        ({"steps": 8}, "steps"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("daedal").validate_args(**changes)


def test_its_published_names_are_those_of_the_standard_ones() -> None:
    decoder = llada_core.get_algorithm("daedal")
    assert decoder.validate_args(max_gen_length=48) == decoder.validate_args(max_tokens=48)


def test_a_template_is_refused_as_its_positions_are_given() -> None:
    lm = llada_core.load_model(engine="fast-dllm")
    with pytest.raises(AlgorithmUnavailable, match="a template says where each blank ends"):
        lm.infill("Name: {{8}}", algorithm="daedal")


def test_a_model_without_an_end_token_is_refused() -> None:
    class Endless(FakeConfig):
        eos_ids = ()

    network = FakeNetwork.random(config=Endless())
    with pytest.raises(AlgorithmUnavailable, match="names no end token"):
        llada_core.get_algorithm("daedal").generate(network, torch.tensor([[1, 2]]), gen_length=4)
