"""Lines through one session: each is told once, no more are read than have places, and errors are lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from llada_server.batch.answering import Answering
from llada_server.batch.lines import Line
from llada_server.http.served import Served
from llada_server.scheduler.work import Broken, Full
from llada_server.scheduler.worker import Worker
from llada_server.settings import ServerSettings
from tests.server.batch.files import completion, line, texts_of
from tests.server.batch.scripted import scripted
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until


def served(session: ScriptedSession | None = None, **settings: Any) -> Any:
    return scripted(ServerSettings(request_timeout=float("inf"), **settings), session)


def lines(texts: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(texts, 1):
        yield Line(number, text.encode())


def told(model: Served, texts: Iterable[str]) -> dict[str, Any]:
    found = [json.loads(each.text) for each in Answering(model, lines(texts))]
    by_id = {each["custom_id"]: each for each in found}
    assert len(by_id) == len(found)
    return by_id


def test_every_line_is_told_once_with_its_answer() -> None:
    asked = {str(number): "x" * (1 + number * 7 % 30) for number in range(200)}
    with served(max_num_seqs=4, max_queue=3) as model:
        found = told(model, (completion(name, prompt) for name, prompt in asked.items()))
    assert {name: texts_of(each) for name, each in found.items()} == {n: [p] for n, p in asked.items()}


def test_lines_share_steps_and_enter_as_others_end() -> None:
    session = ScriptedSession()
    with served(session, max_num_seqs=4, max_queue=4) as model:
        assert len(told(model, (completion(str(number), "x" * 10) for number in range(80)))) == 80
    assert session.steps < 200  # one after the other it would be 800


def test_no_more_lines_are_read_than_have_places() -> None:
    read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        for read in range(1, 101):
            yield completion(str(read), "ab")

    with served(max_num_seqs=2, max_queue=3) as model:
        for done, _ in enumerate(Answering(model, lines(counted())), 1):
            assert read <= done + 2 * (2 + 3)  # those that have places, and were just done


def test_lines_in_work_hold_so_many_bytes_together() -> None:
    session = ScriptedSession()
    most = 400
    long = completion("long", "ab", metadata={"a": "x" * 250})
    assert 300 < len(long) < most
    texts = [long.replace("long", str(number)) for number in range(100)]
    active: list[int] = []
    session.breaks = lambda: active.append(session.active)
    with served(session, max_body=most) as model:
        assert len(told(model, texts)) == 100
    assert max(active) <= 16 * most // len(long) + 1


def test_answers_to_one_line_have_a_place_each() -> None:
    session = ScriptedSession()
    active: list[int] = []
    session.breaks = lambda: active.append(session.active)
    with served(session, max_num_seqs=2, max_queue=3) as model:
        found = told(model, [completion(str(n), "abc", n=n) for n in (5, 1, 4, 3, 6)])
    assert max(active) <= 5
    assert [len(texts_of(found[str(n)])) for n in (5, 1, 4, 3)] == [5, 1, 4, 3]
    assert found["6"]["response"]["status_code"] == 400
    assert found["6"]["response"]["body"]["error"]["code"] == "too_many_answers"


def test_places_of_answers_beside_one_that_failed_are_waited_for() -> None:
    texts = [completion(str(number), ["!", "abcdefgh"]) for number in range(20)]
    slow = ScriptedSession(breaks=lambda: time.sleep(0.01))
    with served(slow, max_num_seqs=2, max_queue=3) as model:
        found = told(model, texts)
    assert [found[str(number)]["response"]["status_code"] for number in range(20)] == [500] * 20


def test_what_is_full_all_the_same_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, post = [Full("so many wait"), Full("so many wait")], Worker.post

    def posted(worker: Worker, *given: Any, **more: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return post(worker, *given, **more)

    monkeypatch.setattr(Worker, "post", posted)
    with served() as model:
        assert texts_of(told(model, [completion("a", "abc")])["a"]) == ["abc"]


def test_what_fails_is_a_line_and_its_neighbours_are_answered() -> None:
    texts = [
        completion("good", "ab"),
        completion("fails", "ab!"),
        completion("empty", ""),
        completion("wrong", "ab", stop=3),
        completion("streamed", "ab", stream=True),
        completion("half", "a\ud800"),
        line("else", "/v1/embeddings", {"input": "a"}),
        line("body", "/v1/completions", None),
        completion("model", "ab", model="gpt-4"),
    ]
    with served() as model:
        found = told(model, texts)
        nameless = [json.loads(each.text) for each in Answering(model, lines(["{", "{}"]))]
    statuses = {name: (each["response"] or {}).get("status_code") for name, each in found.items()}
    assert statuses == {
        "good": 200, "fails": 500, "empty": 400, "wrong": 400, "streamed": None, "half": 400, "else": None,
        "body": 400, "model": 404,
    }  # fmt: skip
    assert all((each["response"] is None) is not (each["error"] is None) for each in found.values())
    errors = {name: each["error"] for name, each in found.items() if each["error"]}
    assert {name: (each["code"], each["param"], each["line"]) for name, each in errors.items()} == {
        "streamed": ("unsupported_field", "stream", 5),
        "else": ("invalid_field", "url", 7),
    }
    assert found["half"]["response"]["body"]["error"]["param"] == "prompt"
    assert sorted((each["custom_id"], each["error"]["line"]) for each in nameless) == [(None, 1), (None, 2)]


def test_ids_are_those_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with served() as model:
        found = told(model, [completion("fails", "ab!")])["fails"]
    assert found["id"] == f"batch_req_{found['response']['request_id']}"
    assert f"request {found['response']['request_id']} failed" in caplog.text


def test_lines_that_are_in_work_when_the_thread_breaks_are_not_told() -> None:
    session = ScriptedSession()

    def breaks() -> None:
        if session.steps == 3:
            raise RuntimeError("boom")

    session.breaks = breaks
    with served(session) as model:
        answers = iter(Answering(model, lines([completion("long", "a" * 9), completion("short", "a")])))
        assert json.loads(next(answers).text)["custom_id"] == "short"
        with pytest.raises(Broken):
            next(answers)


def test_who_stops_listening_frees_the_rows() -> None:
    session, long = ScriptedSession(breaks=lambda: time.sleep(0.005)), "b" * 10_000
    with served(session) as model:
        answering = Answering(model, lines([completion("long", long), completion("short", "a")]))
        answers = iter(answering)
        assert json.loads(next(answers).text)["custom_id"] == "short"
        assert not session.cancelled
        answering.stop()
        assert not list(answers)
        until(lambda: session.cancelled == [long])
