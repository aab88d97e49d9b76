"""The text of ids that become more is that of all of them, and costs what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from llada_core.generation.growing import GrowingText

Decode = Callable[[Sequence[int]], str]

PIECES = ["▁", "▁a", "b", "▁the", "##s", "ing", ".", "▁,", "▁▁", "ä", "\n", " x"]
growth = st.lists(st.integers(0, 40), max_size=30)  # how many ids more, each time


def byte_level() -> Decode:
    """A token a byte: text ends in half a character more often than not."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={each: n for n, each in enumerate(alphabet)}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    return lambda ids: str(tokenizer.decode([each % len(alphabet) for each in ids]))


def pieces(decoder: decoders.Decoder) -> Decode:
    """Pieces of words, joined by ``decoder``, which may look at what stands before one."""
    tokenizer = Tokenizer(models.WordLevel({each: n for n, each in enumerate(PIECES)}, unk_token="b"))
    tokenizer.decoder = decoder
    return lambda ids: str(tokenizer.decode([each % len(PIECES) for each in ids]))


DECODERS = {
    "bytes": byte_level(),
    "metaspace": pieces(decoders.Metaspace()),
    "wordpiece": pieces(decoders.WordPiece(cleanup=False)),
    "fuse": pieces(
        decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    ),
}


@pytest.mark.parametrize("name", DECODERS)
@given(ids=st.lists(st.integers(0, 255), max_size=400), steps=growth)
def test_it_is_the_text_of_all_ids_however_they_come(name: str, ids: list[int], steps: list[int]) -> None:
    decode = DECODERS[name]
    text, end = GrowingText(decode), 0
    for more in steps:
        end += more
        assert text.of(ids[:end]) == decode(ids[:end])


@given(before=st.lists(st.integers(0, 255), max_size=60), after=st.lists(st.integers(0, 255), max_size=60))
def test_ids_that_changed_are_read_anew(before: list[int], after: list[int]) -> None:
    decode = DECODERS["bytes"]
    text = GrowingText(decode)
    assert [text.of(before), text.of(after)] == [decode(before), decode(after)]


def test_what_was_read_is_not_read_again() -> None:
    read = 0

    def decode(ids: Sequence[int]) -> str:
        nonlocal read
        read += len(ids)
        return "".join(map(chr, ids))

    text, ids = GrowingText(decode), [97] * 2000
    for begin, end in pairwise(range(0, 2001, 4)):
        assert begin < end
        text.of(ids[:end])
    assert read < 2000 / 4 * 40  # and not 2000 / 4 * 1000, as of the whole each time
