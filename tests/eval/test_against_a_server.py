"""lm-eval's own client of servers gets from ``llada serve`` what the model has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from lm_eval.models.openai_completions import LocalCompletionsAPI

from llada_eval.model import LladaLM
from tests.eval.conftest import asks
from tests.support.served import served_client

pytestmark = pytest.mark.alone

QUESTIONS = ["What is 12 + 30?", "What is 7 + 5?"]


@pytest.fixture
def client(small: LladaLM, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCompletionsAPI]:
    """Speaks to the server in this process: what it posts goes there."""
    with served_client(small.lm, "fast-dllm", served_model_name="tiny") as server:
        monkeypatch.setattr(requests, "post", lambda url, json, **_: _Told(server.post(url, json=json)))
        yield LocalCompletionsAPI(
            base_url="http://testserver/v1/completions",
            model="tiny",
            tokenizer=small.lm.model.path,
            tokenizer_backend="huggingface",
            batch_size=4,
            max_length=256,
        )


class _Told:
    """An answer of the server as ``requests`` gives it."""

    def __init__(self, answer: Any) -> None:
        self._answer, self.ok, self.text = answer, answer.status_code == 200, answer.text

    def raise_for_status(self) -> None:
        assert self.ok, self.text

    def json(self) -> Any:
        return self._answer.json()


def test_the_client_of_servers_gets_the_likelihoods_of_the_chain(
    small: LladaLM, client: LocalCompletionsAPI
) -> None:
    context = small.apply_chat_template([{"role": "user", "content": QUESTIONS[0]}])
    said = context + "12 + 30 ="
    texts = [(said, " 42."), (said, " 43."), ("Ann has", " 3 apples")]
    found = client.loglikelihood(asks("loglikelihood", *texts), disable_tqdm=True)
    for text, (value, is_greedy) in zip(texts, found, strict=True):
        wanted = small.lm.log_likelihood(*small._encode_pair(*text), method="chain", greedy=False)
        assert value == pytest.approx(wanted.value, abs=1e-4)
        assert wanted.conditionals is not None
        assert is_greedy is all(each.is_likeliest for each in wanted.conditionals)
    assert [is_greedy for _, is_greedy in found] == [True, False, False]
    assert found[0][0] > found[1][0] + 2


def test_the_client_of_servers_gets_the_answers(small: LladaLM, client: LocalCompletionsAPI) -> None:
    contexts = [small.apply_chat_template([{"role": "user", "content": each}]) for each in QUESTIONS]
    how = {"until": ["\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 32}
    found = client.generate_until(asks("generate_until", *[(each, how) for each in contexts]), True)
    assert found == ["12 + 30 = 42.", "7 + 5 = 12."]
