"""Files that begin with nothing that a model could answer are refused; such lines among others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llada_core.errors import UsageError
from llada_server.batch.bodies import check_beginning
from llada_server.batch.lines import Line
from llada_server.settings import ServerSettings
from tests.server.batch.files import chat, completion, line

RIGHT = completion("right", "a")


def check(*texts: str, **settings: Any) -> None:
    lines = [Line(number, text.encode()) for number, text in enumerate(texts, 1)]
    check_beginning(lines, Path("in.jsonl"), ServerSettings(**settings))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c", "line 1 is no JSON"),
        ('{"prompt": "a"}', "line 1 has no custom_id"),
        (line("a", "/v1/embeddings", {}), "line 1: url is '/v1/embeddings'"),
        (chat("a", "b", stream=True), "line 1: stream is true"),
        (line("a", "/v1/chat/completions", {"prompt": "a"}), "line 1: .*messages"),
        (
            completion("a", "b", model="gpt-4"),
            "line 1 is for the model 'gpt-4', and 'llada-tiny' is to answer",
        ),
    ],
)
def test_a_beginning_without_a_line_that_can_be_answered_is_refused(text: str, said: str) -> None:
    for count in (1, 10, 11):
        with pytest.raises(
            UsageError, match=f"none of the first {min(count, 10)} lines of in.jsonl .*{said}"
        ):
            check(*[text] * count)
    check(*[text] * 9, RIGHT)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "llada-tiny"),
        ({"model": "some/folder/LLaDA"}, "LLaDA"),
        ({"model": "GSAI-ML/LLaDA-8B-Instruct"}, "LLaDA-8B-Instruct"),
        ({"model": "some/folder", "served_model_name": "gpt-4"}, "gpt-4"),
        ({"dcp_path": "runs/step-7", "base_model": "GSAI-ML/LLaDA-8B-Instruct"}, "step-7"),
    ],
)
def test_the_name_is_that_of_the_model_to_be_loaded(settings: dict[str, str], name: str) -> None:
    check(completion("a", "b", model=name), **settings)
    with pytest.raises(UsageError, match=f"and '{name}' is to answer; load that one, or let --served-mod"):
        check(completion("a", "b", model="another"), **settings)
