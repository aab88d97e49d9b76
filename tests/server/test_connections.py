"""Clients that do not send, do not read, or are too many: their connections end, and others do not notice."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from llada_core.generation.results import GenerationRequest
from llada_core.generation.steps import Ticket
from llada_server.http import connections
from tests.server.apps import Running, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until

PATIENCE = 0.6
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
TEXT = "word " * 300_000
LARGE = {"prompt": TEXT, "echo": True}  # more than the kernel takes for a client that does not read


@contextmanager
def connected(server: Running, **options: int) -> Iterator[socket.socket]:
    with socket.socket() as made:
        for name, value in options.items():
            made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        made.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        made.settimeout(10)
        yield made


def post(body: dict[str, Any], more: bytes = b"") -> bytes:
    content = json.dumps(body).encode()
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, more, len(content), content)


def all_of(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    told = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            told += part
    return told


def answer(told: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the error of a refusal, as its client reads them."""
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"x-request-id: " in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


def took(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with scripted_server(client_timeout=PATIENCE, max_body=2**20) as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"GET /hea"])
def test_a_head_that_does_not_come_ends_the_connection(server: Running, sent: bytes) -> None:
    with connected(server) as client:
        client.sendall(sent)
        assert PATIENCE * 0.9 < took(lambda: all_of(client)) < PATIENCE + 2


def test_a_second_head_has_as_much_time_as_the_first(server: Running) -> None:
    with connected(server) as client:
        client.sendall(post({"prompt": "ab"}))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        time.sleep(PATIENCE * 2)  # an idle connection is kept for longer
        client.sendall(b"GET /hea")
        assert PATIENCE * 0.9 < took(lambda: all_of(client)) < PATIENCE + 2


def test_a_head_that_comes_byte_by_byte_has_no_more_time(server: Running) -> None:
    with connected(server) as client, suppress(ConnectionResetError):
        began = time.monotonic()
        while time.monotonic() - began < 5:
            try:
                client.sendall(b"G")
            except BrokenPipeError:
                break
            time.sleep(0.05)
        assert time.monotonic() - began < PATIENCE + 2


def test_a_body_that_does_not_come_is_refused(server: Running) -> None:
    with connected(server) as client:
        client.sendall(HEAD + b"Content-Length: 99\r\n\r\n{")
        status, error = answer(all_of(client))
    assert (status, error["code"], error["type"]) == (408, "request_timeout", "invalid_request_error")
    assert error["message"] == "the body was not here within 0.6 s; send it at once, or less"


def test_an_answer_that_is_in_work_may_take_longer(server: Running) -> None:
    session = ScriptedSession(breaks=lambda: time.sleep(0.3))
    with scripted_server(session, client_timeout=PATIENCE) as slow, slow.client() as client:
        assert client.post("/v1/completions", json={"prompt": "abcdef"}).status_code == 200


class Scripted(ScriptedSession):
    """Whatever is asked for, the answer is ``script``."""

    script = "abc"

    def submit(self, request: GenerationRequest) -> Ticket:
        return super().submit(replace(request, prompt=self.script))


class Endless(Scripted):
    script = "a" * 100_000

    def __init__(self) -> None:
        super().__init__(breaks=lambda: time.sleep(0.001))


def test_a_client_that_does_not_read_its_answer_is_left() -> None:
    with scripted_server(Scripted(), client_timeout=PATIENCE) as server:
        with connected(server, SO_RCVBUF=4096) as client:
            client.sendall(post(LARGE))
            time.sleep(PATIENCE * 4)
            assert len(all_of(client)) < len(TEXT)
        assert _completes(server)


def test_what_nobody_reads_is_not_kept_however_little_it_is() -> None:
    with scripted_server(Scripted(), client_timeout=PATIENCE) as server:
        held = _heard_late(server, len(TEXT))  # by the kernel
        assert _heard_late(server, held + 30_000) < held + 30_000


def _heard_late(server: Running, length: int) -> int:
    """So much is left of an answer of ``length`` characters for a client that begins to read too late."""
    with connected(server, SO_RCVBUF=4096) as client:
        client.sendall(post({"prompt": "x" * length, "echo": True}))
        time.sleep(PATIENCE * 4)
        return len(all_of(client))


def test_a_client_that_does_not_read_its_stream_frees_the_row() -> None:
    session = Endless()
    with (
        scripted_server(session, client_timeout=PATIENCE) as server,
        connected(server, SO_RCVBUF=4096) as client,
    ):
        client.sendall(post({**LARGE, "stream": True}))
        until(lambda: server.worker.accepted == 1)
        until(lambda: server.worker.accepted == 0)
        assert session.cancelled == [session.script]
        assert not all_of(client).endswith(b"0\r\n\r\n")


def test_a_request_that_takes_too_long_frees_its_row_though_nobody_reads() -> None:
    session = Endless()
    with (
        scripted_server(session, client_timeout=60, request_timeout=PATIENCE) as server,
        connected(server, SO_RCVBUF=4096) as client,
    ):
        client.sendall(post({**LARGE, "stream": True}))
        until(lambda: server.worker.accepted == 1)
        until(lambda: server.worker.accepted == 0)
        assert b'"code":"timeout"' in _whole(client)[-500:]


def _whole(client: socket.socket) -> bytes:
    told = b""
    while not told.endswith(b"0\r\n\r\n"):
        told += client.recv(2**20)
    return told


def test_a_client_that_reads_slowly_is_served() -> None:
    with (
        scripted_server(Scripted(), client_timeout=PATIENCE) as server,
        connected(server, SO_RCVBUF=4096) as client,
    ):
        client.sendall(post(LARGE, b"Connection: close\r\n"))
        told = b""
        while part := client.recv(100_000):
            told += part
            time.sleep(0.002)
    body = json.loads(told.partition(b"\r\n\r\n")[2])
    assert body["choices"][0]["text"] == TEXT + "abc"


def test_connections_that_are_too_many_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_BESIDE", 1)
    monkeypatch.setattr(connections, "_HEARING", 2)
    with scripted_server(max_num_seqs=1, max_queue=1) as server, ExitStack() as opened:
        held = [opened.enter_context(connected(server)) for _ in range(3)]
        for each in held:
            each.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert each.recv(4096).startswith(b"HTTP/1.1 200")
        heard, silent = (opened.enter_context(connected(server)) for _ in range(2))
        heard.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        status, error = answer(all_of(heard))
        assert (status, error["code"], error["type"]) == (503, "too_many_connections", "server_error")
        assert took(lambda: all_of(silent)) < 3
        unheard = [opened.enter_context(connected(server)) for _ in range(3)]
        assert took(lambda: all_of(unheard[2])) < 0.5
        for each in held:
            each.close()
        until(lambda: _serves(server))


def _serves(server: Running) -> bool:
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return client.recv(4096).startswith(b"HTTP/1.1 200")


def test_bodies_that_come_have_so_much_room_together() -> None:
    with scripted_server(max_body=1000, client_timeout=5) as server, ExitStack() as opened:
        part = HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 900
        for _ in range(17):
            opened.enter_context(connected(server)).sendall(part)
        time.sleep(0.3)
        with connected(server) as last:
            last.sendall(part)
            status, error = answer(all_of(last))
        assert (status, error["code"]) == (429, "queue_full")
        opened.close()
        until(lambda: _status(server, part, b"x" * 100) == 400)  # which is no JSON


def _completes(server: Running) -> bool:
    with server.client() as client:
        return client.post("/v1/completions", json={"prompt": "ab"}).status_code == 200


def _status(server: Running, *parts: bytes) -> int:
    with connected(server) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(0.05)
        return int(client.recv(4096).split()[1])


def test_who_sends_a_large_body_reads_why_it_is_refused(server: Running) -> None:
    with connected(server) as client:
        client.sendall(HEAD + b"Content-Length: 6000000\r\n\r\n" + b"x" * 6_000_000)
        status, error = answer(all_of(client))
    assert (status, error["code"]) == (413, "request_too_large")


def test_what_is_no_http_is_refused_in_the_shape_of_all_errors(server: Running) -> None:
    with connected(server) as client:
        client.sendall(b"nonsense\r\n\r\n")
        status, error = answer(all_of(client))
    assert (status, error["code"], error["type"]) == (400, "invalid_request", "invalid_request_error")


def test_who_asks_again_before_the_answer_gets_it_and_the_connection_s_end(server: Running) -> None:
    with connected(server) as client:
        client.sendall(post({"prompt": "ab"}) + post({"prompt": "cd"}))
        told = all_of(client)
    assert told.count(b"HTTP/1.1 200") == 1
    assert json.loads(told.partition(b"\r\n\r\n")[2])["choices"][0]["text"] == "ab"


def test_who_asks_again_and_leaves_is_noticed() -> None:
    session = Endless()
    with scripted_server(session) as server:
        with connected(server) as client:
            client.sendall(post({"prompt": "ab"}) + post({"prompt": "cd"}) + b"x" * 99_999)
            until(lambda: server.worker.running == 1)
        until(lambda: session.cancelled == [session.script])


def test_who_asks_for_another_protocol_is_answered_and_not_logged(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(server) as client:
        client.sendall(post({"prompt": "ab"}, b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n"))
        assert all_of(client).startswith(b"HTTP/1.1 200")
    assert not caplog.records
