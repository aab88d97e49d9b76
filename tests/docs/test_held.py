"""The algorithms that the documentation shows keep the contract that it tells of: readers copy them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, name_of
from tests.docs.test_docs import installed_project

# By document and class, of which the second of a name is marked: what the kit is given, a class or a
# registered name, and the model that it is held to the contract on, None for the small one.
HELD: dict[tuple[str, str], tuple[str, str | None]] = {
    ("docs/migrating.md", "OneByOne"): ("OneByOne", None),
    ("docs/plugins.md", "CautiousParrot"): ("CautiousParrot", "model"),
    ("docs/plugins.md", "FewAround"): ("FewAround", None),
    ("docs/plugins.md", "MyAlgorithm"): ("MyAlgorithm", None),
    ("docs/plugins.md", "MyAlgorithm #2"): ("MyAlgorithm", "bert"),
    ("docs/plugins.md", "RecitingParrot"): ("RecitingParrot", "model"),
    ("docs/plugins.md", "TiredParrot"): ("TiredParrot", "model"),
    ("docs/plugins.md", "Towards"): ("Towards", None),
    ("docs/quickstart.md", "PairsGeneration"): ("'pairs'", None),
    ("docs/verify.md", "Echo"): ("Echo", None),
}
# Those that a block of their own page holds to it.
BY_THE_PAGE = {
    ("docs/plugins.md", "ParrotGeneration"): "llada check llada-parrot",
    ("docs/plugins.md", "WidestGeneration"): "llada check widest",
    ("docs/publishing.md", "SingleGeneration"): 'check_algorithm("single")',
    ("docs/writing-an-algorithm.md", "SharpGeneration"): "pytest -q llada-sharp/tests",
}
WRONG = {("docs/sessions.md", "Stuck"): "it shows what becomes of a rule that decides nothing"}
ROOTS = ("GenerationAlgorithm", "StepAlgorithm", "FastDLLMGeneration")


def shown(document: Path) -> Iterator[tuple[str, Block]]:
    """The class of each algorithm in a document, with its block."""
    roots, seen = {*ROOTS}, list[str]()
    for block in blocks(document):
        if block.words[0] == "python":
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.ClassDef) and roots & {ast.unparse(base) for base in node.bases}:
                    roots.add(node.name)
                    seen.append(node.name)
                    count = seen.count(node.name)
                    yield f"{node.name} #{count}" if count > 1 else node.name, block


def test_every_algorithm_of_the_documentation_is_held_to_the_contract() -> None:
    found = {(name_of(path), called) for path in DOCUMENTS for called, _ in shown(path)}
    assert found == {*HELD, *BY_THE_PAGE, *WRONG}


@pytest.mark.parametrize("shown_in", BY_THE_PAGE, ids="-".join)
def test_a_page_holds_its_algorithms_where_it_is_said_to(shown_in: tuple[str, str]) -> None:
    run = [block.text for block in blocks(ROOT / shown_in[0]) if "testable" in block.words]
    assert any(BY_THE_PAGE[shown_in] in text for text in run)


@cache
def place_of(document: Path, folder: Path) -> dict[str, str]:
    """The environment in which the projects of a document are installed; its files are in ``folder``, and the
    model that a block of it makes."""
    for block in blocks(document):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        if "testable" in block.words and "> model/config.json" in block.text:
            made = [line for line in block.text.splitlines() if not line.startswith("llada ")]
            subprocess.run(["sh", "-euc", "\n".join(made)], cwd=folder, check=True)
    sites = [installed_project(path.parent) for path in sorted(folder.glob("*/pyproject.toml"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, sites), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: tmp_path_factory.mktemp("document") for name in {document for document, _ in HELD}}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shown_in", HELD, ids="-".join)
def test_an_algorithm_of_the_documentation_keeps_the_contract(
    shown_in: tuple[str, str], places: dict[str, Path]
) -> None:
    document, (given, model) = ROOT / shown_in[0], HELD[shown_in]
    own = next(block for called, block in shown(document) if called == shown_in[1])
    text = "" if own.file else own.text
    text += f"\nfrom llada_core.testing import check_algorithm\ncheck_algorithm({given}, model={model!r})"
    folder = places[shown_in[0]]
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=place_of(document, folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
