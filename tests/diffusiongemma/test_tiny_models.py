"""The tiny model decodes eventfully, and its tokenizer is one."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest

from tests.diffusiongemma.published import Published, cut
from tests.diffusiongemma.tiny_models import CONFIG, network_of
from tests.diffusiongemma.tiny_tokenizer import BOS, EOS, PAD, TURN_END, VOCABULARY


def test_it_is_tiny_and_has_a_vision_tower() -> None:
    sizes = {name: each.numel() for name, each in network_of(CONFIG).named_parameters()}
    assert sum(sizes.values()) == 43208
    assert sum(size for name, size in sizes.items() if "vision" in name) == 4432


@pytest.mark.slow
def test_canvases_end_early_and_late_and_answers_have_ends(published: Published) -> None:
    said = [published.says([5, 6, 7 + n], seed=n, gen_length=24, confidence_threshold=1.5) for n in range(24)]
    steps = [each.denoised / each.encoded for each in said]
    assert min(steps) < 6
    assert max(steps) == 6
    lengths = {len(cut(each.written, 24)) for each in said}
    assert 24 in lengths
    assert min(lengths) < 24


def test_every_id_is_a_text_of_its_own(lm: Any) -> None:
    tokenizer = lm.model.tokenizer
    texts = {tokenizer.decode([index]) for index in range(VOCABULARY)}
    assert len(tokenizer) == VOCABULARY == len(texts)
    text = f"{string.ascii_letters} {string.digits}\n{string.punctuation}"
    ids = tokenizer.encode(text)
    assert (ids[0], len(ids)) == (BOS, 1 + len(text))
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_its_ends_are_those_of_its_settings_and_its_turns(lm: Any, folder: Path) -> None:
    assert sorted(end.id for end in lm.model.end_tokens) == [EOS, TURN_END]
    assert lm.model.pad_id == PAD
