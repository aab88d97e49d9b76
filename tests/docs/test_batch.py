"""The guide of batch jobs tells every flag, field, code and path."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from llada_server.batch import wire
from llada_server.batch.bodies import KINDS
from llada_server.batch.command import run_file
from llada_server.batch.running import FAILED
from tests.docs.documents import ROOT, spans

GUIDE = ROOT / "docs" / "batch.md"
CODE = ROOT / "packages" / "llada-server" / "src" / "llada_server" / "batch"


def section(heading: str) -> str:
    _, found, rest = GUIDE.read_text().partition(f"## {heading}\n")
    assert found
    return re.split(r"^## ", rest, flags=re.MULTILINE)[0]


def test_the_flags_are_all_there() -> None:
    written = re.findall(r"`(--?[a-z][\w-]*)`", section("Settings"))
    assert sorted(written) == sorted(
        name for flag in run_file.params for name in flag.opts if name.startswith("-")
    )


@pytest.mark.parametrize("kind", [wire.RequestLine, wire.AnswerLine, wire.Response, wire.LineError])
def test_the_fields_are_all_there(kind: type[BaseModel]) -> None:
    assert set(kind.model_fields) <= set(spans(GUIDE))


def test_the_paths_are_all_there() -> None:
    assert set(KINDS) <= set(spans(GUIDE))


def test_the_codes_of_errors_are_all_there() -> None:
    code = "".join((CODE / f"{name}.py").read_text() for name in ("entries", "bodies", "answering"))
    used = set(re.findall(r'"((?:invalid|unsupported|request)_\w+)"', code))
    written = re.findall(r"^\| `(\w+_\w+)` \|", section("The lines"), flags=re.MULTILINE)
    assert {each for each in written if each not in ("custom_id",)} == used


def test_the_status_of_failed_lines_is_there() -> None:
    assert re.search(rf"^\| {FAILED} \| every line is done", section("The lines"), flags=re.MULTILINE)
