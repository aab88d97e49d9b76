"""The embedded model with weights of eight bits: what it answers, and how it is asked for."""

from __future__ import annotations

import json

import pytest

import llada_core
from llada_core import GenerationRequest, UsageError
from llada_core.cli.program import run
from llada_tiny.tasks import FAMILIES, held_out

REQUESTS = [
    GenerationRequest(prompt=list(each.messages), parameters={"gen_length": 64})
    for family in FAMILIES
    for each in held_out(family, 2, seed=5)
]


def answers(quantization: str | None) -> list[tuple[int, ...]]:
    with llada_core.load_model(device="cpu", quantization=quantization) as lm:
        return [each.token_ids for each in lm.generate_batch(REQUESTS)]


@pytest.fixture(scope="module")
def whole() -> list[tuple[int, ...]]:
    return answers(None)


@pytest.mark.parametrize(("kind", "share"), [("fp8", 0.8), ("int8", 0.9)])
def test_most_tokens_of_answers_are_those_of_the_whole_weights(
    whole: list[tuple[int, ...]], kind: str, share: float
) -> None:
    both = zip(whole, answers(kind), strict=True)
    pairs = [pair for one, other in both for pair in zip(one, other, strict=False)]
    assert len(pairs) > 100
    assert sum(a == b for a, b in pairs) / len(pairs) > share


def test_the_command_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["generate", "What is 12 + 30?", "--device", "cpu", "--max-tokens", "32", "--json"]
    assert run([*call, "--quantization", "int8"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "12 + 30 = 42."
    assert run([*call, "--quantization", "int4"]) == 2
    assert "'int4' is not one of 'fp8', 'int8'" in capsys.readouterr().err


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="quantization 'int4' cannot be used; choose 'fp8' or 'int8'"):
        llada_core.load_model(device="cpu", quantization="int4")
