"""``llada infill`` and ``llada score``, on the small trained model."""

from __future__ import annotations

import json
import math

import pytest

import llada_core
from llada_core.generation.results import Score
from tests.support.program import Llada, error, llada

__all__ = ["llada"]  # the fixture

pytestmark = pytest.mark.alone

SUM = ("--engine", "fast-dllm", "--device", "cpu", "--prompt", "What is 12 + 30?")


def test_people_get_the_text_alone_and_figures_on_stderr(llada: Llada) -> None:
    status, out, err = llada("infill", *SUM, "12 + {{2}} = 42.")
    assert (status, out) == (0, "12 + 30 = 42.\n")
    assert err.startswith("NFE ")
    assert err.count("\n") == 1


def test_programs_get_what_the_blanks_say(llada: Llada) -> None:
    told = json.loads(llada("infill", *SUM, "{{2}} + 30 = {{2}}.", "--json", "--algorithm", "basic").out)
    assert told["text"] == "12 + 30 = 42."
    assert told["blanks"] == ["12", "42"]
    assert told["algorithm"] == "basic"


def test_a_template_is_read_from_stdin(llada: Llada) -> None:
    assert llada("infill", *SUM, "-", typed="12 + {{2}} = 42.\n").out == "12 + 30 = 42.\n"


def test_parameters_and_seed_reach_the_algorithm(llada: Llada) -> None:
    ran = llada("infill", *SUM, "{{4}}", "-p", "block_length=2", "--seed", "5", "--json")
    parameters = json.loads(ran.out)["parameters"]
    assert (parameters["block_length"], parameters["seed"], parameters["gen_length"]) == (2, 5, 4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("12 + 30",), "the template has no blank; write {{8}}"),
        (("12 + {{x}}",), "'{{x}}' in the template is no blank"),
        (("{{2}}", "--raw"), "--raw is given, and no --prompt"),
        (("{{2}}", "--prompt", "a", "-p", "gen_length=4"), "gen_length=4 beside a template"),
        (("{{2}}", "--algorithm", "nope"), "nope"),
        (("{{2}}", "-p", "seed=1", "--seed", "2"), "seed is given by -p and by --seed"),
    ],
)
def test_a_wrong_call_is_one_line(llada: Llada, arguments: tuple[str, ...], told: str) -> None:
    assert told in error(llada("infill", *arguments), status=2)


def test_candidates_stand_in_the_order_of_the_call(llada: Llada) -> None:
    status, out, _ = llada("score", *SUM, "12 + 30 = {{1}}.", "41", "42", "52")
    heading, *rows = out.splitlines()
    assert status == 0
    assert heading.split()[:3] == ["candidate", "tokens", "probability"]
    assert [row.split()[0] for row in rows] == ["41", "42", "52"]
    probabilities = [float(row.split()[2]) for row in rows]
    assert max(probabilities) == probabilities[1]


def test_scores_are_those_of_the_library(llada: Llada) -> None:
    told = json.loads(llada("score", *SUM, "{{1}} + 30", "12", "3", "--json").out)
    with llada_core.load_model(engine="fast-dllm", device="cpu") as lm:
        scores = lm.score("{{1}} + 30", ["12", "3"], prompt="What is 12 + 30?")
    assert [each["probability"] for each in told] == [score.probability for score in scores]
    assert [each["tokens"] for each in told] == [len(score.token_ids) for score in scores]


def test_json_has_no_logarithm_of_what_the_network_rules_out(
    llada: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruled_out = Score(text="12", token_ids=(1,), log_probability=-math.inf)
    monkeypatch.setattr(llada_core.LoadedModel, "score", lambda *_, **__: [ruled_out])
    (told,) = json.loads(llada("score", *SUM, "{{1}} + 30", "12", "--json").out)
    assert told == {
        "text": "12",
        "tokens": 1,
        "probability": 0.0,
        "log_probability": None,
        "log_probability_per_token": None,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("{{1}} and {{1}}", "a"), "the template has several blanks"),
        (("{{1}}", "a", ""), "the candidate '' has no tokens"),
    ],
)
def test_what_cannot_be_scored_is_one_line(llada: Llada, arguments: tuple[str, ...], told: str) -> None:
    assert told in error(llada("score", *arguments), status=2)
