"""The documentation is true: its examples run, its links resolve, and it names what there is.

In the first line of a fenced block, ``testable`` after the language means that the block must run, and
``file=NAME`` that it is the text of that file. Blocks of one document share a folder; where its files make a
project, the project is built and its wheel is importable.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "packages/*/*.md", "3rdparty/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```(?P<info>\w.*?)\n(?P<text>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the words of its first line."""

    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def command(self) -> list[str]:
        shells = {"python": [sys.executable, "-c"], "sh": ["sh", "-euc"]}
        return [*shells[self.words[0]], self.text]


def blocks(document: Path) -> list[Block]:
    return [
        Block(tuple(found["info"].split()), found["text"]) for found in FENCE.finditer(document.read_text())
    ]


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if any("testable" in b.words for b in blocks(path))], ids=name_of
)
def test_examples_run(document: Path, tmp_path: Path) -> None:
    for block in blocks(document):
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if (tmp_path / "pyproject.toml").exists():
        env["PYTHONPATH"] = str(install_project(tmp_path))
    for block in blocks(document):
        if "testable" in block.words:
            done = subprocess.run(block.command, cwd=tmp_path, env=env, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


def install_project(folder: Path) -> Path:
    """Build the project in ``folder``; return the folder that its wheel was installed into."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "dist"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    site = folder / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*pip, *map(str, (folder / "dist").iterdir())], check=True)
    return site


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[tuple[str, str]]:
    """File and anchor of each link that is no address."""
    for found in LINK.finditer(FENCE.sub("", document.read_text())):
        if "://" not in found["target"]:
            file, _, anchor = found["target"].partition("#")
            yield file, anchor


@each_document
def test_links_resolve(document: Path) -> None:
    for file, anchor in links(document):
        target = document.parent / file if file else document
        assert target.exists(), f"{file} does not exist"
        assert not anchor or anchor in anchors(target), f"{file} has no heading #{anchor}"


@pytest.mark.parametrize("document", sorted(ROOT.glob("packages/*/README.md")), ids=name_of)
def test_what_pypi_shows_has_no_relative_links(document: Path) -> None:
    assert [file for file, _ in links(document) if file] == []
