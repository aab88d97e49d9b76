"""Templates: what is read as a blank, what as text, and that fixed text comes back as it went in."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core.errors import ParameterError, PromptError
from llada_core.generation.templates import Blank, cloze_of, pieces_of

TEXTS = st.text(alphabet="ab {}8\n", max_size=8)
PIECES = st.lists(TEXTS | st.integers(1, 9).map(Blank), max_size=6)


def codes(text: str) -> list[int]:
    return [ord(character) for character in text]


@pytest.mark.parametrize(
    ("template", "pieces"),
    [
        ("Name: {{8}}", ("Name: ", Blank(8))),
        ("{{ 12 }}.", (Blank(12), ".")),
        ("{{1}}{{2}}", (Blank(1), Blank(2))),
        ("a {{{{8}} b {{3}}", ("a {{8}} b ", Blank(3))),
        ("{ {{3}} }", ("{ ", Blank(3), " }")),
        (["a", "", "b", {"max_tokens": 2}, Blank(3)], ("ab", Blank(2), Blank(3))),
    ],
)
def test_blanks_and_texts_are_told_apart(template: Any, pieces: Any) -> None:
    assert pieces_of(template) == pieces


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("no blank", "no blank"),
        ("", "no blank"),
        ([], "no blank"),
        ("{{0}}", "no blank; write"),
        ("{{-1}}", "{{-1}}"),
        ("{{eight}}", "eight"),
        ("{{٣}}", "no blank"),
        ("{{3}} and {{", "character 10"),
        (["a", 3], "3"),
        ([{"max_tokens": 0}], "max_tokens=0"),
        ([{"max_tokens": True}], "max_tokens=True"),
        ([{"max_tokens": 3, "more": 1}], "part of a template"),
        ([Blank(0)], "max_tokens=0"),
        (b"{{3}}", "no template"),
        (None, "no template"),
        (8, "no template"),
        ("{{" + "9" * 5000 + "}}", "has 5000 digits"),
        ("{{1}}" * 2**17, "the template has more than 65536 blanks"),
    ],
)
def test_what_is_no_template_is_refused_with_what_to_write(template: Any, told: str) -> None:
    with pytest.raises(PromptError, match=told.replace("{", r"\{")) as caught:
        pieces_of(template)
    assert "{{" in str(caught.value) or "give" in str(caught.value)


def written(piece: Any) -> str:
    return piece.replace("{", "(") if isinstance(piece, str) else f"{{{{{piece.max_tokens}}}}}"


@given(PIECES.filter(lambda pieces: any(isinstance(piece, Blank) for piece in pieces)))
def test_a_list_and_its_text_are_one_template(pieces: list[Any]) -> None:
    listed = [piece.replace("{", "(") if isinstance(piece, str) else piece for piece in pieces]
    assert pieces_of("".join(map(written, pieces))) == pieces_of(listed)


@given(PIECES.filter(lambda pieces: any(isinstance(piece, Blank) for piece in pieces)), st.booleans())
def test_fixed_text_comes_back_with_what_the_blanks_say(pieces: list[Any], in_prompt: bool) -> None:
    cloze = cloze_of(pieces, codes, in_prompt=in_prompt)
    filled = [ord("x") if cell is None else cell for cell in cloze.cells]
    expected = "".join(piece if isinstance(piece, str) else "x" * piece.max_tokens for piece in pieces)
    assert cloze.text(filled, lambda ids: "".join(map(chr, ids))) == expected
    assert [end - begin for begin, end in cloze.blanks] == [
        piece.max_tokens for piece in pieces if isinstance(piece, Blank)
    ]
    assert cloze.before == "" or in_prompt


@given(PIECES.filter(lambda pieces: any(isinstance(piece, Blank) for piece in pieces)))
def test_the_text_so_far_is_the_beginning_of_the_whole(pieces: list[Any]) -> None:
    cloze = cloze_of(pieces, codes)
    filled = [ord("x") if cell is None else cell for cell in cloze.cells]
    texts = [
        cloze.text(filled[:count], lambda ids: "".join(map(chr, ids))) for count in range(len(filled) + 1)
    ]
    assert all(texts[-1].startswith(text) for text in texts)


@pytest.mark.parametrize("limit", [None, 64])
@pytest.mark.parametrize(
    "template", ["a {{1000000000}}", ["a", {"max_tokens": 10**17}], [Blank(10**5000)], "{{60}}" * 60000]
)
def test_blanks_beyond_what_is_taken_are_refused_before_there_is_a_cell(
    template: Any, limit: int | None
) -> None:
    with pytest.raises(ParameterError, match=r"exceed the (64|1048576) that the model takes; give shorter"):
        cloze_of(template, codes, limit=limit)


def test_pieces_that_touch_are_joined_in_time() -> None:
    began = time.perf_counter()
    (text, _) = pieces_of([*["ab"] * 200_000, Blank(1)])
    assert text == "ab" * 200_000
    assert time.perf_counter() - began < 2
