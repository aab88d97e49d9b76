"""Lines through several workers: each told once, few on their way, and what goes wrong is raised."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

import pytest

from llada_server.batch.answering import Answered
from llada_server.batch.index import Index
from llada_server.batch.lines import Line
from llada_server.batch.shares import Sizes, lines_in, packed
from llada_server.batch.spread import Lost, Spread
from tests.server.test_worker import until

SIZES = Sizes(lines=3, bytes=1000, at_once=1, all=2)
Turned = Callable[[bytes], Iterable[bytes]]


class Scripted:
    """A carrier that turns each share into shares of answers."""

    def __init__(self, turned: Turned) -> None:
        self._turned, self._shares = turned, SimpleQueue[bytes | None]()

    def put(self, share: bytes | None) -> None:
        self._shares.put(share)

    def answered(self) -> Iterator[bytes]:
        while (share := self._shares.get()) is not None:
            yield from self._turned(share)


def answered(share: bytes) -> bytes:
    return packed([Answered(line=line.number, text="", failed=False) for line in lines_in(share)])


def lines(count: int) -> Iterator[Line]:
    return (Line(number, b"") for number in range(1, count + 1))


def spread(turned: Turned, given: Iterable[Line], *, sizes: Sizes = SIZES) -> Spread:
    return Spread(Scripted(turned), given, Index(), sizes)


def test_every_line_is_told_once_though_some_come_twice() -> None:
    found = list(spread(lambda share: [answered(share)] * 2, lines(100)))
    assert sorted(each.line for each in found) == list(range(1, 101))


@pytest.mark.parametrize("times", [1, 2])
def test_no_more_lines_are_read_than_may_be_on_their_way(times: int) -> None:
    read = 0

    def counted() -> Iterator[Line]:
        nonlocal read
        for line in lines(60):
            read = line.number
            yield line

    for done, _ in enumerate(spread(lambda share: [answered(share)] * times, counted()), 1):
        assert read <= done + SIZES.lines * (SIZES.all + 2)
    assert read == 60


def test_a_line_that_does_not_come_back_is_told() -> None:
    def losing(share: bytes) -> list[bytes]:
        return [packed([]) if lines_in(share)[0].number == 4 else answered(share)]

    told = iter(spread(losing, lines(9)))
    assert len([next(told) for _ in range(6)]) == 6
    with pytest.raises(Lost, match=r"^3 lines did not come back from the workers$"):
        next(told)


def test_what_fails_on_the_way_or_in_reading_is_raised() -> None:
    def fails(share: bytes) -> list[bytes]:
        raise Lost("the workers ended")

    with pytest.raises(Lost, match="the workers ended"):
        list(spread(fails, lines(9)))

    def unreadable() -> Iterator[Line]:
        yield from lines(3)
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        list(spread(lambda share: [answered(share)], unreadable()))


def test_it_can_be_ended_while_nothing_comes() -> None:
    never = threading.Event()

    def waits(share: bytes) -> Iterator[bytes]:
        yield answered(share)
        never.wait()

    spreading, found = spread(waits, lines(9)), list[Answered]()
    thread = threading.Thread(target=lambda: found.extend(spreading))
    thread.start()
    until(lambda: spreading._told == 3)
    time.sleep(0.01)
    spreading.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert len(found) == 3
    never.set()
