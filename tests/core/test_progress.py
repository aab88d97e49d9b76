"""How far a wait has come: told to whoever listens, and to nobody else."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

import pytest

from llada_core.progress import listener, telling


def test_the_innermost_listener_is_told() -> None:
    outer: list[tuple[int, int]] = []
    inner: list[tuple[int, int]] = []
    listener()(0, 1)  # nobody listens
    with telling(lambda *each: outer.append(each)):
        with telling(lambda *each: inner.append(each)):
            listener()(1, 2)
        with suppress(RuntimeError), telling(lambda *each: pytest.fail("it is over")):
            raise RuntimeError
        listener()(2, 2)
    listener()(3, 3)
    assert (outer, inner) == ([(2, 2)], [(1, 2)])


def test_another_thread_has_listeners_of_its_own() -> None:
    heard: list[tuple[int, int]] = []
    with telling(lambda *each: heard.append(each)):
        thread = Thread(target=lambda: listener()(1, 1))
        thread.start()
        thread.join()
    assert heard == []
