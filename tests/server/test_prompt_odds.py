"""What completions tell of the prompts that they begin with: each token given those before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_core import load_model
from llada_core.loading import LoadedModel
from tests.server.apps import Running, model_server

PROMPT = "Ann has 3 apples."
ASKED = {"max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True, "seed": 1234}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with model_server(max_num_seqs=8) as running:
        yield running


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


@pytest.fixture(scope="module")
def lm() -> LoadedModel:
    return load_model(engine="fast-dllm")


def told(http: httpx.Client, **more: Any) -> list[dict[str, Any]]:
    answer = http.post("/v1/completions", json={**ASKED, **more})
    assert answer.status_code == 200, answer.text
    return [choice["logprobs"] for choice in answer.json()["choices"]]


def test_the_last_tokens_have_what_the_chain_tells_of_them(http: httpx.Client, lm: LoadedModel) -> None:
    ids = lm.model.encode(PROMPT, raw=True)
    (of_ids,), (of_text,) = told(http, prompt=ids), told(http, prompt=PROMPT)
    assert of_ids == of_text
    assert len(of_ids["tokens"]) == len(ids) + 1
    for start in (1, 3, len(ids) - 1):
        found = lm.log_likelihood(ids[:start], ids[start:], method="chain")
        assert sum(of_ids["token_logprobs"][start:-1]) == pytest.approx(found.value, abs=1e-5)
        assert found.conditionals is not None
        likeliest = [max(each.values()) for each in of_ids["top_logprobs"][start:-1]]
        assert likeliest == pytest.approx([each.likeliest[0][1] for each in found.conditionals], abs=1e-5)


def test_all_prompts_have_what_each_has_alone(http: httpx.Client) -> None:
    prompts = [PROMPT, "12 + 30 =", "A"]
    alone = [told(http, prompt=prompt)[0] for prompt in prompts]
    assert told(http, prompt=prompts) == alone
    twice = told(http, prompt=prompts, n=2)
    assert [each["token_logprobs"] for each in twice[::2]] == [each["token_logprobs"] for each in alone]


def test_an_answer_that_its_end_token_ends_has_one_for_it(http: httpx.Client, lm: LoadedModel) -> None:
    said = lm.model.encode([{"role": "user", "content": "What is 12 + 30?"}])
    ended = [*said, *lm.model.encode("12 + 30 = 42.", raw=True)[1:]]
    answer = http.post("/v1/completions", json={**ASKED, "prompt": ended}).json()["choices"][0]
    assert answer["finish_reason"] == "stop"
    assert len(answer["logprobs"]["tokens"]) == len(ended) + 1
    found = [lm.log_likelihood(ended, [end], method="chain").value for end in lm.model.end_ids]
    assert answer["logprobs"]["token_logprobs"][-1] == pytest.approx(max(found), abs=1e-5)


@pytest.mark.parametrize("more", [{"stream": True}, {"suffix": "."}])
def test_what_cannot_be_told_along_is_refused_by_name(http: httpx.Client, more: dict[str, Any]) -> None:
    answer = http.post("/v1/completions", json={**ASKED, "prompt": PROMPT, **more})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(more))
    assert f"leave {next(iter(more))} out" in answer.json()["error"]["message"]
