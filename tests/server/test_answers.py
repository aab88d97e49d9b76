"""The answers to one request: what is left of them once they are over."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from llada_core.generation.results import GenerationRequest
from llada_server.http.answers import Answers
from llada_server.scheduler.worker import Worker
from tests.server import fakes
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import Heard, request, until, working


def test_nothing_keeps_answers_that_are_over_until_their_time_would_be() -> None:
    with working(ScriptedSession()) as worker:
        kept = asyncio.run(_over(worker))
    assert kept == []


async def _over(worker: Worker) -> list[str]:
    """What of answers is still there once they have ended, and their loop goes on."""
    answers = Answers(worker, [GenerationRequest(prompt="abc")], timeout=3600)
    left = weakref.ref(answers)
    async with answers:
        assert [result.text for result in await answers.results()] == ["abc"]
    del answers
    until(lambda: worker.accepted == 0)
    await asyncio.sleep(0.05)  # the loop hears the last of the model's thread
    gc.collect()
    return [] if left() is None else ["the answers"]


def test_the_text_of_a_row_that_nobody_follows_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(fakes._Ticket):
        def text_before(self, offset: int) -> str:
            made.append(offset)
            return super().text_before(offset)

    monkeypatch.setattr(fakes, "_Ticket", Counted)
    with working(ScriptedSession()) as worker:
        for follow, times in ((False, 1), (True, 8)):
            made.clear()
            heard = Heard()
            worker.post(request("a" * 9), heard, follow=follow)
            heard.wait()
            assert len(made) == times  # its last text comes with its result
