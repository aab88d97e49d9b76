"""The page about 0.1 is true: its new names exist, its old ones do not, and public ones say what to write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import llada_core
import llada_runtime
from llada_core import GenerationAlgorithm, LoadedModel, Step
from llada_runtime import NoCache, Quota, StepAlgorithm
from llada_runtime.testing import FakeNetwork
from tests.docs.documents import ROOT
from tests.docs.test_names import CLASS, DOTTED, exists, homes, imported

PAGE = (ROOT / "docs" / "from-0.1.md").read_text()
Row = tuple[str, str, str]


def rows(heading: str) -> list[Row]:
    """What was, what is, and what to write, of the table under this heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [(old.strip(), new.strip(), write.strip()) for old, new, write in lines[1:]]


HEADINGS = re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
ALL = [row for heading in HEADINGS for row in rows(heading)]


def spans(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def named(cell: str) -> Iterator[str]:
    """The dotted names of ours that a cell mentions, in full."""
    for span in spans(cell):
        if span.startswith("from "):
            yield from imported(ast.parse(span))
        elif DOTTED.fullmatch(span):
            yield span
        elif (found := CLASS.fullmatch(span)) and found[1] != "True" and found[1] != "None":
            assert found[1] in homes(), f"no module exports {found[1]}"
            yield f"{homes()[found[1]]}.{found[1]}{found[2]}"


def test_the_page_has_its_tables() -> None:
    assert len(HEADINGS) == 6
    assert all(rows(heading) for heading in HEADINGS)


@pytest.mark.parametrize("row", ALL, ids=[old for old, _, _ in ALL])
def test_what_there_is_today_exists(row: Row) -> None:
    _, new, write = row
    assert list(named(new)) or spans(new) == ["load_network(self, folder, options)"]
    for name in (*named(new), *named(write)):
        assert exists(name), f"there is no {name}"


@pytest.mark.parametrize("old", [old for cell, _, _ in rows("Modules") for old in spans(cell)])
def test_a_module_that_moved_is_where_the_page_says(old: str) -> None:
    assert not exists(old)


class Decoder(StepAlgorithm):
    """An algorithm, to be asked for what it had once."""

    def policy(self, params: Any) -> NoCache:
        return NoCache()

    def rule(self, params: Any) -> Quota:
        return Quota(2)


def step() -> Step:
    row = Decoder().sequence(FakeNetwork.random(), [1], {"gen_length": 2, "block_length": 2})
    return Step.last(row.ticket)


@pytest.mark.parametrize(("old", "new", "_"), rows("Names"))
def test_an_old_public_name_says_the_new_one(old: str, new: str, _: str) -> None:
    owners = {
        "LoadedModel": LoadedModel.__new__(LoadedModel),
        "Step": step(),
        "StepAlgorithm": Decoder(),
        "llada_core": llada_core,
        "llada_runtime": llada_runtime,
    }
    owner, _, attribute = old.strip("`").rpartition(".")
    today = new.strip("`")
    short = today.rpartition(".")[2]
    with pytest.raises(AttributeError, match=rf"(?i)\b{re.escape(today if short == attribute else short)}\b"):
        getattr(owners[owner], attribute)


@pytest.mark.parametrize("owner", [step(), Decoder(), llada_core, llada_runtime])
def test_what_never_was_is_a_plain_error(owner: Any) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'never'$"):
        owner.never  # noqa: B018


def test_two_base_classes_keep_working() -> None:
    class Both(Decoder, GenerationAlgorithm):
        parameters = tuple(map(llada_core.standard, ("gen_length", "block_length")))

    output_ids, _ = Both().generate(FakeNetwork.random(), torch.tensor([[1, 2]]), gen_length=4)
    assert output_ids.shape == (1, 6)
