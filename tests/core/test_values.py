"""How a value that is not what was wanted is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llada_core.values import is_array, shortened, shown, told


class Silence(BaseException):
    pass


class Mute:
    def __repr__(self) -> str:
        raise Silence("not a word")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "None"),
        (3, "3"),
        ("x", "'x'"),
        (int, "the class int"),
        (torch.Tensor, "the class Tensor"),
        ((1, 2), "a tuple of 2"),
        ({}, "a dict"),
        (Mute(), "a Mute"),
        (torch.ones(2, 3), "a tensor [2, 3] of float32 on cpu"),
        (torch.ones(1, device="meta", dtype=torch.bool), "a tensor [1] of bool on meta"),
    ],
)
def test_what_was_returned_is_told_by_its_kind(value: Any, said: str) -> None:
    assert told(value) == said


def test_what_fails_when_it_is_looked_at_is_told_by_its_kind() -> None:
    class Odd:
        def __getattr__(self, name: str) -> object:
            raise KeyError(name)

    class Endless(list[int]):
        def __len__(self) -> int:
            raise OverflowError("endless")

    assert [told(Odd()), told(Endless())] == ["a Odd", "a Endless"]


def test_what_was_given_is_told_as_it_is() -> None:
    assert shown("Hi") == "'Hi' (str)"
    assert shown(Mute()) == "an object of Mute, whose repr raises Silence: not a word"


def test_tensors_and_arrays_are_arrays_and_their_classes_are_not() -> None:
    assert is_array(torch.ones(1))
    assert is_array(np.ones(1))
    assert not any(map(is_array, (torch.Tensor, np.ndarray, [1], None)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("short", "short"),
        ("0123456789", "0123456789"),
        ("0123456789a", "0123…789a"),
        ("\ud800", r"\ud800"),
        ("\ud800" * 20, "\\ud8…d800"),
        ("", ""),
    ],
)
def test_text_of_others_is_shortened_and_can_be_encoded(text: str, said: str) -> None:
    assert shortened(text, 10) == said
    assert len(shortened(text, 10).encode("utf-8")) <= 12
