"""The mask token by whichever file tells it, as JSON: no tokenizer is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llada_core.checkpoints.mask import TOKENIZER_SETTINGS, mask_token_id

NAMED: dict[str, Any] = {"tokenizer_config.json": {"mask_token": "[M]"}}
OF_OBJECT: dict[str, Any] = {"tokenizer_config.json": {"mask_token": {"content": "[M]", "special": True}}}
OF_MAP: dict[str, Any] = {"special_tokens_map.json": {"mask_token": "[M]"}}
DECODER = {"added_tokens_decoder": {"3": {"content": "x"}, "9": {"content": "[M]"}}}
ADDED: dict[str, Any] = {
    "tokenizer.json": {"added_tokens": [{"id": 3, "content": "x"}, {"id": 9, "content": "[M]"}]}
}
VOCABULARY: dict[str, Any] = {"tokenizer.json": {"model": {"vocab": {"x": 3, "[M]": 9}}}}


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def test_the_config_comes_first(tmp_path: Path) -> None:
    folder = write(tmp_path, {**NAMED, **VOCABULARY})
    assert mask_token_id({"mask_token_id": 0}, folder) == 0
    assert mask_token_id({"mask_token_id": 5}, None) == 5


@pytest.mark.parametrize("named", [NAMED, OF_OBJECT, OF_MAP], ids=["text", "object", "map"])
@pytest.mark.parametrize(
    "listed",
    [ADDED, VOCABULARY, {"added_tokens.json": {"[M]": 9}}, {"tokenizer_config.json": DECODER}],
    ids=["added", "vocabulary", "added_tokens.json", "decoder"],
)
def test_a_tokenizer_may_name_it_and_list_it_anywhere(tmp_path: Path, named: Any, listed: Any) -> None:
    both = {**named, **listed}
    if named.keys() & listed.keys():
        both["tokenizer_config.json"] = {**named["tokenizer_config.json"], **listed["tokenizer_config.json"]}
    folder = write(tmp_path, both)
    for absent in ({}, {"mask_token_id": None}, {"mask_token_id": -1}, {"mask_token_id": "9"}):
        assert mask_token_id(absent, folder) == 9
    assert mask_token_id({}, None) is None


@pytest.mark.parametrize("files", [{}, NAMED, VOCABULARY], ids=["nothing", "no id", "no name"])
def test_where_a_part_is_missing_there_is_none(tmp_path: Path, files: dict[str, Any]) -> None:
    assert mask_token_id({}, write(tmp_path, files)) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("[M]"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["mask_token", "content", "added_tokens_decoder", "added_tokens", "model", "vocab", "id", "1"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(st.sampled_from(TOKENIZER_SETTINGS), anything))
def test_the_files_may_hold_anything(tmp_path: Path, files: dict[str, Any]) -> None:
    found = mask_token_id({}, write(tmp_path, files))
    assert found is None or found >= 0
