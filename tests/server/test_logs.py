"""What the server logs: a line for each request, and prompts only where somebody wants them."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from llada_server.logs import log_to_stderr, logged_to
from tests.server.apps import scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until

QUESTION = {"messages": [{"role": "user", "content": "a secret"}]}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="llada_server"):
        yield caplog


@pytest.mark.parametrize("wanted", [False, True])
def test_prompts_and_answers_are_logged_only_where_asked_for(
    logged: pytest.LogCaptureFixture, wanted: bool
) -> None:
    with scripted_server(log_prompts=wanted) as running, running.client() as client:
        answer = client.post("/v1/chat/completions", json=QUESTION, headers={"X-Request-Id": "mine"})
    assert answer.status_code == 200
    assert ("prompt" in logged.text) is wanted
    assert ("a secret" in logged.text) is wanted
    assert (repr(answer.json()["choices"][0]["message"]["content"]) in logged.text) is wanted
    assert "POST /v1/chat/completions 200" in logged.text
    assert "id=mine" in logged.text


@pytest.mark.parametrize(
    ("body", "status"), [({"prompt": "ab"}, 200), ({"prompt": "a!"}, 500), ({"prompt": ""}, 400)]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_one_line_with_the_status_of_its_end(
    logged: pytest.LogCaptureFixture, body: dict[str, str], status: int, stream: bool
) -> None:
    with scripted_server() as running, running.client() as client:
        client.post("/v1/completions", json={**body, "stream": stream})
        until(lambda: "POST" in logged.text)
    lines = [each.getMessage() for each in logged.records if "POST" in each.getMessage()]
    assert [line.split()[:3] for line in lines] == [["POST", "/v1/completions", str(status)]]


def test_a_path_is_one_line_whatever_is_in_it(logged: pytest.LogCaptureFixture) -> None:
    with scripted_server() as running, running.client() as client:
        client.get("/a%0AINFO:%20GET%20/b")
        until(lambda: "GET" in logged.text)
    (line,) = [each.getMessage() for each in logged.records if "GET" in each.getMessage()]
    assert line.startswith("GET /a%0AINFO%3A%20GET%20/b 404")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_left_is_499(logged: pytest.LogCaptureFixture, stream: bool) -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session) as running, running.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json={"prompt": "abc", "stream": stream}, timeout=0.3)
        until(lambda: "POST /v1/completions 499" in logged.text)


def test_a_client_that_left_before_its_body_was_here_is_499(logged: pytest.LogCaptureFixture) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    with scripted_server() as running:
        url = httpx.URL(running.url)
        with socket.create_connection((url.host, url.port)) as half:
            half.sendall(head + b"{")
        until(lambda: "POST /v1/completions 499" in logged.text)


def test_a_deadline_in_a_stream_is_504_without_a_traceback(logged: pytest.LogCaptureFixture) -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session, request_timeout=0.2) as running, running.client() as client:
        told = client.post("/v1/completions", json={"prompt": "abc", "stream": True})
        assert '"code":"timeout"' in told.text
        until(lambda: "POST /v1/completions 504" in logged.text)
    assert "Traceback" not in logged.text


@pytest.mark.parametrize("wanted", [False, True])
def test_lines_of_requests_can_be_left_out(capsys: pytest.CaptureFixture[str], wanted: bool) -> None:
    log_to_stderr("info", requests=wanted)
    logging.getLogger("llada_server.access").info("GET /health")
    logging.getLogger("llada_server.access").error("request failed")
    written = capsys.readouterr().err
    assert ("GET /health" in written) is wanted
    assert "request failed" in written


@pytest.mark.parametrize(("level", "written"), [("info", True), ("warning", False)])
def test_lines_of_requests_reach_stderr_from_their_level_on(
    capsys: pytest.CaptureFixture[str], level: str, written: bool
) -> None:
    log_to_stderr(level)
    log_to_stderr(level)
    logging.getLogger("llada_server.access").info("GET /health")
    assert capsys.readouterr().err.count("GET /health") == written


class Secret(Exception):
    """Says what nobody is to read."""

    def __str__(self) -> str:
        return "a prompt"


@pytest.mark.parametrize("name", ["llada_server.access", "uvicorn", "asyncio"])
@pytest.mark.parametrize("wanted", [False, True])
def test_errors_are_logged_with_their_words_only_where_prompts_are(
    capsys: pytest.CaptureFixture[str], name: str, wanted: bool
) -> None:
    log_to_stderr("info", prompts=wanted)
    try:
        try:
            raise Secret("a prompt")
        except Secret as exc:
            raise ValueError("x", "a prompt") from exc
    except ValueError as error:
        logging.getLogger(name).error("request r-1 failed", exc_info=error)
    written = capsys.readouterr().err
    assert "request r-1 failed" in written
    assert "ValueError" in written
    assert "tests.server.test_logs.Secret" in written
    assert written.count("in test_errors_are_logged_with_their_words_only_where_prompts_are") == 2
    assert ("a prompt\n" in written) is wanted
    assert ("('x', 'a prompt')" in written) is wanted


def test_beside_a_bar_errors_of_one_kind_are_told_whole_once() -> None:
    log_to_stderr("info")
    log, stream = logging.getLogger("llada_server.scripted"), io.StringIO()
    with logged_to(stream):
        for number, text in enumerate("xxyx"):
            try:
                _ = int(text) if text == "x" else {"a": 1}[text]
            except (ValueError, LookupError) as exc:
                log.error("request %d failed", number, exc_info=exc)
        log.error("something else")
    log.error("after it")
    told = stream.getvalue()
    assert told.count(__file__) == 2
    assert [line for line in told.splitlines() if line.startswith("ERROR:")] == [
        "ERROR:     request 0 failed",
        "ERROR:     request 1 failed, as one before it",
        "ERROR:     request 2 failed",
        "ERROR:     request 3 failed, as one before it",
        "ERROR:     something else",
    ]
