"""``/v1/score`` is bounded as answers are: by the queue, by time, and by a client that leaves."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from llada_core import load_model
from llada_core.errors import ParameterError, PromptError
from llada_core.generation.results import Score
from tests.server.apps import Running, model_server, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until

CANDIDATES = ["30", "7", "30 and", "30 and more", "8"]
ASKED = {"template": "a {{1}} b", "candidates": ["x"]}


class Scores:
    """Scores that wait for ``gate``, and remember what they were asked."""

    def __init__(self) -> None:
        self.gate, self.asked = threading.Semaphore(0), list[Any]()

    def __call__(self, template: Any, candidates: list[str], **given: Any) -> list[Score]:
        self.asked.append(template)
        self.gate.acquire()
        return [Score(text=text, token_ids=(1,), log_probability=-1.0) for text in candidates]


@contextmanager
def scoring(**settings: Any) -> Iterator[tuple[Running, Scores]]:
    scores = Scores()
    with scripted_server(ScriptedSession(), score=scores, **settings) as running:
        try:
            yield running, scores
        finally:
            scores.gate.release(1000)


def ask(client: httpx.Client, **more: Any) -> httpx.Response:
    return client.post("/v1/score", json={**ASKED, **more})


def test_the_best_is_that_of_the_most_probable_token_and_not_the_shortest() -> None:
    def score(template: Any, candidates: list[str], **given: Any) -> list[Score]:
        return [
            Score(text=text, token_ids=(1,) * len(text), log_probability=-1.0 - 0.1 * len(text))
            for text in candidates
        ]

    with scripted_server(score=score) as running, running.client() as client:
        told = ask(client, candidates=["a", "abcdef", "abc"]).json()
    assert told["best"] == 1  # -1.6 for six tokens, and -1.1 for one
    assert max(told["scores"], key=lambda each: each["log_probability"])["text"] == "a"


def test_what_the_network_rules_out_has_a_number_that_json_has() -> None:
    def score(template: Any, candidates: list[str], **given: Any) -> list[Score]:
        logs = [-math.inf, -2.0]
        return [
            Score(text=text, token_ids=(1, 2), log_probability=log)
            for text, log in zip(candidates, logs, strict=True)
        ]

    with scripted_server(score=score) as running, running.client() as client:
        told = ask(client, candidates=["a", "b"]).json()
    assert told["best"] == 1
    assert [each["log_probability"] for each in told["scores"]] == [-9999.0, -2.0]
    assert [each["per_token"] for each in told["scores"]] == [-9999.0, -1.0]


def test_a_full_queue_says_when_to_come_again() -> None:
    with scoring(max_num_seqs=1, max_queue=1) as (running, scores), running.client() as client:
        asking = [threading.Thread(target=ask, args=(client,)) for _ in range(2)]
        for thread in asking:
            thread.start()
        until(lambda: running.worker.accepted == 2)
        with running.client() as other:
            refused = ask(other)
            assert other.post("/v1/completions", json={"prompt": "ab"}).status_code == 429
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"]["code"] == "queue_full"
        scores.gate.release(2)
        for thread in asking:
            thread.join(5)
        assert ask_released(client, scores) == 200


def ask_released(client: httpx.Client, scores: Scores) -> int:
    scores.gate.release()
    return ask(client).status_code


def test_one_that_takes_too_long_is_answered() -> None:
    with scoring(request_timeout=0.2) as (running, _), running.client() as client:
        late = ask(client)
        assert (late.status_code, late.headers["x-should-retry"]) == (504, "false")
        assert late.json()["error"]["code"] == "timeout"


def test_one_whose_client_leaves_before_its_turn_is_not_asked() -> None:
    with scoring() as (running, scores), running.client() as client:
        first = threading.Thread(target=ask, args=(client,))
        first.start()
        until(lambda: len(scores.asked) == 1)
        with running.client() as other, pytest.raises(httpx.ReadTimeout):
            other.post("/v1/score", json={**ASKED, "template": "left {{1}}"}, timeout=0.3)
        until(lambda: running.worker.accepted == 1)
        scores.gate.release(10)
        first.join(5)
        until(lambda: running.worker.accepted == 0)
        assert scores.asked == [ASKED["template"]]


def test_a_server_that_drains_refuses_them() -> None:
    with scoring() as (running, _), running.client() as client:
        running.worker.close()
        assert ask(client).status_code == 503


@pytest.mark.parametrize("told", [False, True])
def test_they_are_logged_as_answers_are(caplog: pytest.LogCaptureFixture, told: bool) -> None:
    caplog.set_level(logging.DEBUG, logger="llada_server")
    with scoring(log_prompts=told) as (running, scores), running.client() as client:
        scores.gate.release()
        assert ask(client, candidates=["aardvark"]).status_code == 200
    assert "POST /v1/score 200" in caplog.text
    assert ("aardvark" in caplog.text) is told


@pytest.mark.parametrize(
    ("raised", "param"),
    [
        (PromptError("the candidate '' has no tokens; give text"), "template"),
        (ParameterError("too long; shorten it", parameter="gen_length"), "template"),
        (ParameterError("has no effect; leave it out", parameter="enable_thinking"), "enable_thinking"),
    ],
)
def test_what_is_wrong_is_about_a_field(raised: Exception, param: str) -> None:
    def score(*given: Any, **more: Any) -> list[Score]:
        raise raised

    with scripted_server(score=score) as running, running.client() as client:
        refused = ask(client)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_algorithms_are_named_as_in_other_requests() -> None:
    with model_server(max_model_len=64) as running, running.client() as client:
        for field in ("algorithm", "generation_algorithm"):
            assert ask(client, **{field: "basic"}).status_code == 200
            assert ask(client, **{field: "nothing"}).json()["error"]["param"] == field
        long = ask(client, prompt="word " * 100)
        assert (long.status_code, long.json()["error"]["param"]) == (400, "template")
        assert "64" in long.json()["error"]["message"]


def test_each_forward_is_between_two_steps_of_the_others() -> None:
    with model_server() as running:
        lengths = {len(running.served.reader.encode(text, raw=True)) for text in CANDIDATES}
        given = {"prompt": "What is 12 + 30?", "raw": False, "algorithm": "basic"}
        steps = running.worker.ask(partial(list, running.served.score("12 + {{1}}.", CANDIDATES, **given)))
        assert len(steps.result(10)) == len(lengths) > 2
        told = running.worker.ask(partial(running.served.score, "12 + {{1}}.", CANDIDATES, **given)).result(
            10
        )
    alone = load_model(engine="fast-dllm").score("12 + {{1}}.", CANDIDATES, **given)
    assert told == alone
