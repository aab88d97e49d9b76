"""A worker answers shares from many threads through one session, and ends where its model's thread breaks."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NoReturn

import pytest

from llada_core.errors import LladaError, UsageError
from llada_server.batch import worker as module
from llada_server.batch.lines import Line
from llada_server.batch.shares import answers_in, packed
from llada_server.batch.worker import ANSWERS, LINES, Worker
from llada_server.settings import ServerSettings
from tests.server.batch.files import completion, texts_of
from tests.server.batch.scripted import scripted
from tests.server.fakes import ScriptedSession

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None,
    reason="pyarrow is not installed: pip install 'llada-server[ray]'",
)


class Left(BaseException):
    """Stands for the end of the process."""


class Starts(SimpleQueue[Any]):
    """The queue of starts, some of which were before."""

    def __init__(self, before: int) -> None:
        super().__init__()
        for _ in range(before):
            self.put(True)

    size = SimpleQueue.qsize


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Worker]:
    def made(session: ScriptedSession, *, before: int = 3) -> Worker:
        monkeypatch.setattr(module, "opened", lambda settings: scripted(settings, session))
        settings = ServerSettings(request_timeout=float("inf"), max_num_seqs=8)
        return Worker(settings, starts=Starts(before), most=4)

    monkeypatch.setattr(module, "freeze", lambda: None)
    return made


def table(*lines: Line) -> Any:
    import pyarrow  # of an extra

    return pyarrow.table({LINES: pyarrow.array([packed(lines)], type=pyarrow.large_binary())})


def test_shares_of_many_threads_are_in_one_session(
    worker: Callable[..., Worker],
) -> None:
    session = ScriptedSession()
    answering = worker(session)
    given = [
        table(*(Line(n, completion(str(n), "x" * 20).encode()) for n in (number, number + 1)))
        for number in range(1, 33, 2)
    ]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(answering, given))
    told = [one for each in found for share in each[ANSWERS].to_pylist() for one in answers_in(share)]
    assert sorted(one.line for one in told) == list(range(1, 33))
    assert all(texts_of(json.loads(one.text)) == ["x" * 20] for one in told)
    assert session.steps < 16 * 20  # a share after the other


def test_it_ends_where_the_model_s_thread_breaks(
    worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> None:
        raise RuntimeError("boom")

    statuses = list[int]()

    def leave(status: int) -> NoReturn:
        statuses.append(status)
        raise Left

    monkeypatch.setattr(module, "leave", leave)
    answering = worker(ScriptedSession(breaks=breaks))
    with pytest.raises(Left):
        answering(table(Line(1, completion("a", "b").encode())))
    assert statuses == [1]


def test_wrong_settings_are_told_by_the_queue_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(settings: ServerSettings) -> NoReturn:
        raise UsageError("no; give less")

    monkeypatch.setattr(module, "opened", opened)
    starts = Starts(before=0)
    with pytest.raises(UsageError, match="give less"):
        Worker(ServerSettings(), starts=starts, most=4)
    assert [starts.get(), str(starts.get())] == [True, "no; give less"]


def test_it_is_not_started_for_ever(worker: Callable[..., Worker]) -> None:
    with pytest.raises(LladaError, match="workers died until they had been started 4 times"):
        worker(ScriptedSession(), before=4)
