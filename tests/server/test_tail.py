"""Pieces of text join to the answer, whatever is cut where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_server.scheduler.tail import Tail


def pieces(tail: Tail, states: list[str], whole: str) -> list[str]:
    return [tail.next(state) for state in states] + [tail.rest(whole)]


@given(st.text(), st.lists(st.integers(0, 20)))
def test_pieces_join_to_the_whole(whole: str, cuts: list[int]) -> None:
    states = [whole[:cut] for cut in sorted(cuts)]
    assert "".join(pieces(Tail(), states, whole)) == whole


@given(st.text(min_size=1), st.text(min_size=1, max_size=3), st.lists(st.integers(0, 20)))
def test_a_stop_is_never_given_out(text: str, stop: str, cuts: list[int]) -> None:
    whole = text.partition(stop)[0]
    states = [(whole + stop)[:cut] for cut in sorted(cuts)]
    states = [state for state in states if stop not in state]
    assert "".join(pieces(Tail((stop,)), states, whole)) == whole


@given(st.text(min_size=1), st.integers(1, 3))
def test_bytes_that_are_no_character_yet_wait(text: str, cut: int) -> None:
    encoded = text.encode()
    states = [encoded[:end].decode(errors="replace") for end in range(0, len(encoded), cut)]
    given_out = pieces(Tail(), states, text)
    assert "".join(given_out) == text


def test_text_leaves_as_soon_as_it_is_final() -> None:
    tail = Tail(("STOP",))
    assert tail.next("one") == "one"
    assert tail.next("one ST") == " "
    assert tail.next("one STEP") == "STEP"


def test_a_text_that_changes_is_no_answer() -> None:
    tail = Tail()
    tail.next("abc")
    with pytest.raises(ValueError, match="two ways"):
        tail.rest("abd")
