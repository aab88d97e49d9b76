"""The site has every page, the API's have every public name, and nothing of it comes from elsewhere.

That it can be built without a warning, `nox -s site` shows.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import llada_core
import llada_runtime
from tests.docs.documents import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(
    str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if "_build" not in path.parts
)
TOCTREE = re.compile(r"^```\{toctree\}\n(?P<body>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^\.\. auto(\w+):: ([\w.]+)$", flags=re.MULTILINE)
# Names that a page tells in its prose: what they are, no directive of autodoc can say.
IN_PROSE = {
    "llada_core": {"SAMPLING", "STANDARD", "hookimpl"},
    "llada_runtime": {"CheckpointError", "NumericalError", "UnsupportedArchitecture"},
    "llada_core.testing": set[str](),
    "llada_runtime.testing": {"EOS", "LLADA_CONFIG", "MASK", "VOCABULARY"},
}


def entries(body: str) -> list[str]:
    return [line for line in body.splitlines() if line and not line.startswith(":")]


def test_every_page_is_in_the_contents_once() -> None:
    bodies = [found["body"] for found in TOCTREE.finditer((DOCS / "index.md").read_text())]
    found = [entry for body in bodies for entry in entries(body)]
    assert sorted(found) == sorted({*PAGES} - {"index"}), (
        "give each page of docs/ a line in a toctree of docs/index.md"
    )


def test_the_landing_page_links_to_every_page() -> None:
    """On GitHub the toctrees are no links."""
    text = (DOCS / "index.md").read_text()
    linked = {name.removesuffix(".md") for name in re.findall(r"\]\(([\w./-]+\.md)\)", text)}
    assert {page for page in PAGES if "/" not in page} - {"index"} == {
        name for name in linked if "/" not in name
    }


@pytest.mark.parametrize("module", sorted(IN_PROSE))
def test_the_pages_of_the_api_have_every_public_name_once(module: str) -> None:
    pages = [(DOCS / f"{name}.md").read_text() for name in ("api", "api-runtime", "api-testing")]
    named = [name for page in pages for _, name in DIRECTIVE.findall(page)]
    here = Counter(name.removeprefix(f"{module}.") for name in named if name.rpartition(".")[0] == module)
    public = {*importlib.import_module(module).__all__}
    assert set(here) == public - IN_PROSE[module]
    assert set(here.values()) == {1}
    for name in IN_PROSE[module]:
        assert any(f"`{name}`" in page for page in pages)


@pytest.mark.parametrize("package", [llada_core, llada_runtime])
def test_what_the_api_shows_has_docstrings(package: object) -> None:
    public = {name: getattr(package, name) for name in package.__all__}  # type: ignore[attr-defined]
    assert [name for name, found in public.items() if callable(found) and not found.__doc__] == []


def test_pages_that_stand_elsewhere_are_shown_on_the_site() -> None:
    """A link out of docs/ leads to a page of the site that includes what it names."""
    config = (DOCS / "conf.py").read_text()
    shown = dict(re.findall(r'"(\.\./[\w./-]+)": "([\w./-]+)"', config))
    for path, page in shown.items():
        assert f"{{include}} ../{path}\n" in (DOCS / page).read_text()
    outside = {
        target
        for page in DOCS.glob("*.md")
        for target in re.findall(r"\]\((\.\./[^)#\s]+)", page.read_text())
    }
    assert outside <= set(shown), "name it in ELSEWHERE of docs/conf.py, with a page in docs/site"


def test_its_tools_are_pinned_and_no_part_of_the_development_environment() -> None:
    pins = (ROOT / "constraints.txt").read_text()
    for line in (DOCS / "requirements.txt").read_text().splitlines():
        name = canonicalize_name(line.partition("#")[0].strip())
        if name:
            assert re.search(rf"^{name}==", pins, flags=re.MULTILINE), name
            assert name not in (ROOT / "requirements-dev.txt").read_text()


def test_nothing_of_the_site_comes_from_elsewhere() -> None:
    for path in (DOCS / "_static").iterdir():
        assert "//" not in re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL), path.name
    assert "http" not in (DOCS / "conf.py").read_text()


def test_the_built_site_is_no_part_of_the_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "_build/" in ignored


BROKEN = """
<link rel="stylesheet" href="//fonts.example/f.css"><script src="https://example.org/x.js"></script>
<p id="a"><a href="#a">here</a> <a href="other.html#there">there</a> <a href="https://example.org">out</a>
<a href="none.html">none</a> <a href="other.html#nothing">nothing</a> <img src="data:image/png;base64,AA==">
"""


def test_a_site_with_broken_links_or_things_from_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(BROKEN)
    (tmp_path / "other.html").write_text('<p id="there"></p>')
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_site.py"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "index.html loads //fonts.example/f.css",
        "index.html loads https://example.org/x.js",
        "index.html links to none.html, which does not exist",
        "index.html links to other.html#nothing, which has no such anchor",
    ]


def test_an_empty_site_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "check_site.py"), str(tmp_path)])
    assert done.returncode == 1
