"""What every path does with what is wrong, and what everybody may ask: on scripted rows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_server.http.routes import chat as chats
from tests.server.apps import Running, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with scripted_server() as running:
        yield running


def complete(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/v1/completions", json={"prompt": "abc", **body})


def chat(client: httpx.Client, **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "hello"}]
    return client.post("/v1/chat/completions", json={"messages": messages, **body})


def error(response: httpx.Response) -> dict[str, Any]:
    """The error of an answer, whose shape is OpenAI's."""
    told = response.json()
    assert list(told) == ["error"]
    assert set(told["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = told["error"]
    return found


def events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/nowhere", 404),
        ("PUT", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/models/other", 404),
        ("GET", "/playground/nothing.js", 404),
    ],
)
def test_what_does_not_exist_is_an_error_of_openai_s_shape(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert error(response)["type"] == "invalid_request_error"


def test_a_row_that_fails_is_a_server_error_without_a_traceback(client: httpx.Client) -> None:
    response = complete(client, prompt="a!")
    assert response.status_code == 500
    assert error(response)["code"] == "generation_failed"
    assert "Traceback" not in response.text


def test_a_stream_that_fails_tells_so_in_its_last_event(client: httpx.Client) -> None:
    response = complete(client, prompt="ab!", stream=True)
    assert response.status_code == 200
    told = events(response)
    assert told[-1]["error"]["code"] == "generation_failed"
    assert "[DONE]" not in told


def test_a_stream_that_cannot_begin_has_a_status(client: httpx.Client) -> None:
    assert complete(client, prompt="", stream=True).status_code == 400


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_has_usage_where_it_is_asked_for(client: httpx.Client, usage: bool) -> None:
    response = complete(client, stream=True, stream_options={"include_usage": usage})
    *told, done = events(response)
    assert done == "[DONE]"
    last = told[-1]
    assert (last["choices"] == []) is usage
    assert all(event["usage"] is None for event in told[:-1])
    if usage:
        assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def test_the_pieces_of_a_stream_are_the_text(client: httpx.Client) -> None:
    whole = complete(client, prompt="some text").json()["choices"][0]["text"]
    told = events(complete(client, prompt="some text", stream=True))
    assert "".join(event["choices"][0]["text"] for event in told[:-1]) == whole == "some text"


def test_frames_of_denoising_are_for_those_who_ask(client: httpx.Client) -> None:
    plain = events(complete(client, stream=True))[:-1]
    assert {event["object"] for event in plain} == {"text_completion"}
    asked = events(complete(client, stream=True, stream_options={"denoise": True}))[:-1]
    frames = [event for event in asked if event["object"] == "generation.denoise"]
    assert [frame["positions"] for frame in frames] == [[0], [1], [2]]
    assert all(frame["choices"] == [] for frame in frames)


def test_several_prompts_and_answers_are_numbered_in_order(client: httpx.Client) -> None:
    told = complete(client, prompt=["ab", "cd"], n=2, echo=True).json()
    assert [choice["text"] for choice in told["choices"]] == ["abab", "abab", "cdcd", "cdcd"]
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2, 3]
    assert told["usage"]["prompt_tokens"] == 6


def test_a_request_has_an_id_and_keeps_the_one_it_brings(client: httpx.Client) -> None:
    assert client.get("/health").headers["x-request-id"]
    assert client.get("/health", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert client.get("/nowhere", headers={"X-Request-Id": "mine-2"}).headers["x-request-id"] == "mine-2"
    longest = "x" * 128
    assert client.get("/health", headers={"X-Request-Id": longest}).headers["x-request-id"] == longest
    two = [("X-Request-Id", "one"), ("X-Request-Id", "two")]
    assert client.get("/health", headers=two).headers.get_list("x-request-id") == ["one"]


@pytest.mark.parametrize("odd", ["a b", "a\tb", "", "x" * 129, "\xfc", "\x80"])
def test_an_id_that_no_log_is_to_have_is_replaced(client: httpx.Client, odd: str) -> None:
    given = {"X-Request-Id": odd.encode("latin-1")}
    (told,) = client.get("/health", headers=given).headers.get_list("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", told)


def test_no_page_loads_programs_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert error(missing)["message"] == f"{path} does not exist here; see /openapi.json"


@pytest.mark.parametrize("path", ["/", "/playground/api.js"])
def test_browsers_do_not_guess_what_a_file_is(client: httpx.Client, path: str) -> None:
    assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_too_large_is_refused() -> None:
    with scripted_server(max_body=200) as running, running.client() as client:
        announced = complete(client, prompt="x" * 300)
        assert announced.status_code == 413
        assert error(announced)["code"] == "request_too_large"

        def chunks() -> Iterator[bytes]:
            yield b'{"prompt": "'
            for _ in range(10):
                yield b"x" * 100
            yield b'"}'

        streamed = client.post(
            "/v1/completions", content=chunks(), headers={"Content-Type": "application/json"}
        )
        assert streamed.status_code == 413
        assert complete(client).status_code == 200


def test_a_full_queue_says_when_to_come_again() -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session, max_num_seqs=1, max_queue=0) as running, running.client() as client:
        waiting = threading.Thread(target=complete, args=(client,))
        waiting.start()
        until(lambda: running.worker.accepted == 1)
        with running.client() as other:
            refused = complete(other)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert error(refused)["type"] == "rate_limit_error"
        assert session.gate is not None
        session.gate.release(100)
        waiting.join()


def test_a_request_that_takes_too_long_is_answered_and_leaves() -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session, request_timeout=0.2) as running, running.client() as client:
        late = complete(client, prompt="a" * 50)
        assert late.status_code == 504
        assert late.headers["x-should-retry"] == "false"
        assert session.gate is not None
        session.gate.release(3)
        until(lambda: running.worker.accepted == 0)
        assert session.cancelled == ["a" * 50]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_row(stream: bool) -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    with scripted_server(session) as running:
        with running.client() as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json={"prompt": "a" * 99, "stream": stream}, timeout=0.3)
        until(lambda: running.worker.accepted == 0 or bool(session.gate and session.gate.release()))
        assert session.cancelled == ["a" * 99]
        assert session.steps < 90


def test_a_server_that_drains_is_not_ready_and_says_so() -> None:
    with scripted_server() as running, running.client() as client:
        assert client.get("/ready").status_code == 200
        running.worker.close()
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200
        refused = complete(client)
        assert refused.status_code == 503
        assert error(refused)["code"] == "closing"


def test_a_server_whose_thread_broke_is_not_healthy() -> None:
    def explode() -> None:
        raise RuntimeError("out of luck")

    with scripted_server(ScriptedSession(breaks=explode)) as running, running.client() as client:
        failed = complete(client)
        assert (failed.status_code, error(failed)["code"]) == (500, "internal_error")
        assert "luck" not in failed.text
        assert complete(client).status_code == 503
        assert client.get("/health").status_code == 503


def test_health_answers_while_a_step_takes_long() -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session) as running, running.client() as client, running.client() as other:
        waiting = threading.Thread(target=complete, args=(client,))
        waiting.start()
        until(lambda: running.worker.accepted == 1)
        assert other.get("/health", timeout=1).status_code == 200
        assert session.gate is not None
        session.gate.release(100)
        waiting.join()


def test_what_is_tokenized_can_be_read_again(client: httpx.Client) -> None:
    told = client.post("/tokenize", json={"prompt": "abc"}).json()
    assert told == {"tokens": [97, 98, 99], "count": 3, "max_model_len": 64}
    assert client.post("/detokenize", json={"tokens": told["tokens"]}).json() == {"prompt": "abc"}
    assert client.post("/tokenize", json={}).status_code == 400
    assert client.post("/tokenize", json={"prompt": "a", "messages": []}).status_code == 400


def test_figures_are_counted(server: Running, client: httpx.Client) -> None:
    before = client.get("/batch/stats").json()["diffusion_num_committed_tokens_total"]
    complete(client, prompt="abcd")
    after = client.get("/batch/stats").json()["diffusion_num_committed_tokens_total"]
    assert after - before == 4
    exposition = client.get("/metrics").text
    assert (
        'llada_request_success_total{algorithm="scripted",finished_reason="stop",model_name="scripted"}'
        in exposition
    )


def test_the_page_asks_nobody_else(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in page.text.replace("<!doctype html>", "")


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/v1/models"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert client.head("/v1/completions").status_code == 405


def test_what_a_path_does_not_take_is_told_with_what_it_does(client: httpx.Client) -> None:
    refused = client.get("/v1/completions")
    assert refused.headers["allow"] == "POST"
    assert error(refused)["message"] == "/v1/completions does not take GET; send POST"
    assert client.options("/v1/completions").status_code == 405


@pytest.mark.parametrize(("name", "stream"), [("choice", False), ("end", True)])
def test_what_an_answer_tells_is_made_beside_the_event_loop(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str, stream: bool
) -> None:
    made, threads = getattr(chats._Teller, name), []

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return made(*given)

    monkeypatch.setattr(chats._Teller, name, noted)
    assert chat(client, stream=stream).status_code == 200
    assert threads
    assert "http" not in threads
