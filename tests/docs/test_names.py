"""Every import, name, file and variable that the documentation mentions exists."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from llada_server.given import PREFIX
from llada_server.settings import ServerSettings
from tests.docs.documents import DOCUMENTS, ROOT, blocks, name_of, prose, spans

OURS = {path.parent.name.replace("-", "_"): path.parent for path in ROOT.glob("packages/*/pyproject.toml")}
# What `llada new` writes has files, too.
NEW = ROOT / "packages" / "llada-dev" / "src" / "llada_dev" / "template" / "project"
# Documents that name what there was once; test_from_0_1.py looks at the names of today in the second.
HISTORY = {"CHANGELOG.md", "docs/from-0.1.md"}

DOTTED = re.compile(rf"(?:{'|'.join(OURS)})(?:\.[A-Za-z]\w*)+")
CLASS = re.compile(r"([A-Z][a-z]+\w*)((?:\.[a-z_]\w*)*)(?:\(.*\))?")
FILE = re.compile(r"\.?[\w-][\w.-]*(/[\w.-]+)*/?")
VARIABLE = re.compile(r"\bLLADA_[A-Z_]+\b")

each_current_document = pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if name_of(path) not in HISTORY], ids=name_of
)


def exists(dotted: str) -> bool:
    """Whether ``package.module.Class.attribute`` can be imported and read."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return has(found, parts[count:])
    return False


def has(found: Any, attributes: list[str]) -> bool:
    for attribute in attributes:
        if not hasattr(found, attribute):
            return inspect.isclass(found) and is_an_objects(found, attribute)
        found = getattr(found, attribute)
    return True


def is_an_objects(kind: type, attribute: str) -> bool:
    """Whether objects of the class have what the class itself has not."""
    annotated = any(attribute in vars(base).get("__annotations__", {}) for base in kind.__mro__)
    return annotated or re.search(rf"self\.{attribute}\b[^=\n]* = ", inspect.getsource(kind)) is not None


@functools.cache
def homes() -> dict[str, str]:
    """The modules of the names that some module of ours exports."""
    found: dict[str, str] = {}
    for folder in OURS.values():
        for path in sorted((folder / "src").rglob("*.py")):
            module = ".".join(path.relative_to(folder / "src").with_suffix("").parts).removesuffix(
                ".__init__"
            )
            for name in exported(path):
                found.setdefault(name, module)
    return found


def exported(path: Path) -> list[str]:
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    return []


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names of ours that a program imports, and those that it reads from packages of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


@each_current_document
def test_what_examples_import_exists(document: Path) -> None:
    for block in blocks(document):
        if block.words[0] == "python":
            for name in imported(ast.parse(block.text)):
                assert not DOTTED.fullmatch(name) or exists(name), f"there is no {name}"


@each_current_document
def test_dotted_names_exist(document: Path) -> None:
    for span in spans(document):
        for name in DOTTED.findall(span):
            assert exists(name), f"there is no {name}"


@each_current_document
def test_classes_and_their_attributes_exist(document: Path) -> None:
    for span in spans(document):
        named = CLASS.fullmatch(span)
        if named is None or hasattr(builtins, named[1]):
            continue
        assert named[1] in homes(), f"no module exports {named[1]}"
        assert exists(f"{homes()[named[1]]}.{named[1]}{named[2]}"), f"there is no {span}"


def places(document: Path) -> list[Path]:
    """Where a path in a document may start."""
    sources = [folder / "src" for folder in OURS.values()]
    return [ROOT, document.parent, ROOT / "tests", ROOT / "benchmarks", *OURS.values(), *sources]


@each_current_document
def test_files_and_folders_exist(document: Path) -> None:
    for span in spans(document):
        is_path = "/" in span or span.endswith((".py", ".md", ".toml", ".txt", ".svg"))
        if FILE.fullmatch(span) and is_path and span.partition("/")[0] not in (".venv", "3rdparty"):
            places_of_it = [*(place / span for place in places(document)), NEW / span, NEW / f"{span}.jinja"]
            assert any(place.exists() for place in places_of_it), f"there is no {span}"


def test_variables_exist() -> None:
    used = {name for path in (ROOT / "packages").rglob("*.py") for name in VARIABLE.findall(path.read_text())}
    used |= set(VARIABLE.findall((ROOT / "noxfile.py").read_text()))
    used |= {f"{PREFIX}{setting.name.upper()}" for setting in fields(ServerSettings)}
    for document in DOCUMENTS:
        if name_of(document) not in HISTORY:
            assert set(VARIABLE.findall(document.read_text())) <= used, name_of(document)


@each_current_document
def test_sessions_and_targets_exist(document: Path) -> None:
    said = "\n".join([*spans(document), *(block.text for block in blocks(document))])
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), flags=re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\bnox -s (\w+)", said)) <= set(sessions)
    assert set(re.findall(r"^make ([a-z-]+)", said, flags=re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("package", sorted(OURS))
def test_what_docstrings_name_exists(package: str) -> None:
    for path in (OURS[package] / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for span in re.findall(r"`([^`\n]+)`", ast.get_docstring(node) or ""):
                    for name in DOTTED.findall(span):
                        assert exists(name), f"{path.name}: there is no {name}"


def test_the_design_walks_the_way_of_the_data_verb_by_verb() -> None:
    text = prose(ROOT / "docs" / "design.md")
    (chain,) = re.findall(r"^`(\w+(?: → \w+)+)`$", text, flags=re.MULTILINE)
    rows = re.findall(r"^\| (\w+) \|.*\| (.*) \|$", text.partition("| verb |")[2], flags=re.MULTILINE)
    walked = [(verb, where) for verb, where in rows[: chain.count("→") + 1]]
    assert [verb for verb, _ in walked] == chain.split(" → ")
    assert all("`llada_" in where for _, where in walked)
