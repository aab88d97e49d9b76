"""A handle of Ray Serve as the ingress sees it: what its errors mean, and when its calls are cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llada_server.ray.figures import Told
from llada_server.ray.handed import Handed
from llada_server.ray.library import Faults
from llada_server.ray.replicas import Lost, NoReplica, Replicas
from llada_server.scheduler.work import Full
from tests.server.ray.fakes import Call, Crowded, Gone, Handle

ASKED = Handed(head={"method": "POST"}, headers=[], body=b"")
FAULTS = Faults(gone=(Gone,), crowded=(Crowded,), unavailable=(KeyError,))


async def told(call: Call) -> list[Any]:
    return [each async for each in Replicas(Handle(call), FAULTS).answer(ASKED)]


def test_what_the_replica_yields_passes() -> None:
    call, handle = Call([[], ["a"]]), Handle()
    assert asyncio.run(told(call)) == [[], ["a"]]
    assert not call.cancelled
    Replicas(handle, FAULTS)
    assert handle.options_given == {"method_name": "answer", "stream": True}


@pytest.mark.parametrize(
    ("raised", "means"),
    [(Gone(), Lost), (Crowded(), Full), (KeyError(), NoReplica), (asyncio.CancelledError(), Lost)],
)
def test_errors_of_the_library_are_ours(raised: BaseException, means: type[Exception]) -> None:
    with pytest.raises(means):
        asyncio.run(told(Call([[], raised])))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(told(Call([ZeroDivisionError()])))


def test_a_call_whose_answer_nobody_waits_for_is_cancelled() -> None:
    async def leave(call: Call) -> None:
        asking = asyncio.create_task(told(call))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    call = Call([[], asyncio.Event()])
    asyncio.run(leave(call))
    assert call.cancelled


def figures(given: Any) -> Told:
    return asyncio.run(Replicas(Handle(figures=given), FAULTS).figures())


def test_figures_are_of_those_that_tell_them_and_others_are_counted() -> None:
    one, two = ("one", b"1"), ("two", b"2")
    assert figures([one, two]) == Told(figures={"one": b"1", "two": b"2"}, silent=0)
    assert figures([one, Gone(), two]) == Told(figures={"one": b"1", "two": b"2"}, silent=1)
    assert figures([TimeoutError(), two, Gone()]) == Told(figures={"two": b"2"}, silent=2)


def test_without_any_figures_there_is_no_replica() -> None:
    for none in (TimeoutError(), [TimeoutError(), TimeoutError()], [Gone()]):
        with pytest.raises(NoReplica, match="no replica told its figures within 5 s"):
            figures(none)
    with pytest.raises(NoReplica, match="no replica of the model that could tell"):
        figures(KeyError())
