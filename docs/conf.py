"""How Sphinx makes a site of these pages (``nox -s site``), which are Markdown that GitHub shows as it is."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.append(str(Path(__file__).parent))  # docstrings.py, beside this file
CORE = tomllib.loads((ROOT / "packages" / "llada-core" / "pyproject.toml").read_text())["project"]

project = "llada"
author = CORE["authors"][0]["name"]
copyright = f"{author}, {CORE['license']}"  # Sphinx's name for the line at the foot of each page
version = release = CORE["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings"]
exclude_patterns = ["_build", "requirements.txt"]

# As GitHub: every heading can be linked to, under the same name.
myst_heading_anchors = 3
myst_links_external_new_tab = False

# Single backticks in docstrings are names of ours, as in Markdown.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
nitpicky = True
nitpick_ignore_regex: list[tuple[str, str]] = [
    # In signatures: nothing is fetched to link to what is others'; what is inside our packages has no page.
    (r"py:(class|exc|obj)", r"(torch|collections|pathlib|os|contextlib|types)\..*"),
    (r"py:(class|exc|obj)", r"llada_(core|runtime)\.\w+\..*"),
    (r"py:class", r"Cloze|Continuation|IdArray|Method|Order|Prompt|Score|Template|_Default"),
]

# Pages that stand elsewhere in the repository, and the pages of the site that show them.
ELSEWHERE = {
    "../CHANGELOG.md": "site/changelog.md",
    "../CONTRIBUTING.md": "site/contributing.md",
    "../benchmarks/NOTES.md": "site/measurements.md",
    "../3rdparty/README.md": "site/upstream.md",
}

smartquotes = False  # quotes stay what the source says

html_theme = "furo"
html_title = f"llada {version}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def link_within(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links to pages outside this folder lead to the pages that show them here."""
    for path, page in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({path}", f"]({page}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", link_within)
