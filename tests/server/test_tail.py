"""Pieces of text join to the answer, whatever is cut where."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core.generation.stops import place_of
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


@given(
    st.text("ab", min_size=1, max_size=60),
    st.lists(st.text("ab", min_size=1, max_size=7), max_size=4),
    st.lists(st.integers(0, 60)),
)
def test_what_is_kept_back_is_the_longest_beginning_of_a_stop(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    tail, given_out = Tail(stops), ""
    for state in (text[:cut] for cut in sorted(cuts)):
        given_out += tail.next(state)
        place = place_of(state, stops)
        if place is None:
            begun = (length for stop in stops for length in range(len(stop)) if state.endswith(stop[:length]))
            place = len(state) - max(begun, default=0)
        assert given_out == state[:place]
    place = place_of(text, stops)
    assert given_out + tail.rest(text[:place]) == text[:place]


def test_the_stop_that_is_complete_first_ends_the_text_whatever_follows() -> None:
    stops = ("abcdef", "cd", "bcd")
    tail = Tail(stops)
    assert tail.next("xab") == "x"
    assert tail.next("xabcd") == "a"
    assert tail.next("xabcdef") == ""
    assert tail.rest("xa") == ""
    assert [place_of(text, stops) for text in ("xabc", "xabcd", "xabcdef", "xxabcdefcd")] == [None, 2, 2, 3]


@pytest.mark.parametrize("stop", ["ab" * 2047 + "!", "q" * 4096, "ab" * 500 + "b"])
def test_one_more_character_takes_the_same_time_in_any_text(stop: str) -> None:
    """All of the text was compared with each beginning of each stop at each step."""
    tail, text = Tail([stop + str(number) for number in range(64)]), "ab" * 1024
    tail.next(text)
    took = []
    for _ in range(8):
        text += "ab"
        began = time.thread_time()
        tail.next(text)
        took.append(time.thread_time() - began)
    assert min(took) < 0.005


def test_a_text_that_is_decoded_anew_is_looked_through_again() -> None:
    tail = Tail(("STOP",))
    assert tail.next("ST") == ""
    assert tail.next("\u0160T") == "\u0160T"
    assert tail.next("\u0160TSTO") == ""
    assert tail.next("\u0160TSTOP and more") == ""


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
