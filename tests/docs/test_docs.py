"""The documentation is true: its examples run, its links resolve, and it tells every hook and parameter.

In the first line of a fenced block, ``testable`` after the language means that the block must run, and
``file=NAME`` that it is the text of that file. Blocks of one document share a folder, and are taken in their
order; the projects that are there when a block runs are built, and their wheels are importable.

What other words there mean: test_blocks.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement

import llada_core
from llada_core import (
    AlgorithmInfo,
    AlgorithmSpec,
    CommandSpec,
    EngineSpec,
    LoadOptions,
    Parameter,
    PartInfo,
    PolicySpec,
    RuleSpec,
    StrangerSpec,
    WheelSpec,
)
from llada_core.parameters import STANDARD
from llada_core.plugins import hookspecs
from llada_runtime import BestFirst, Plan, Policy, Rule
from tests.docs.documents import DOCUMENTS, FENCE, ROOT, blocks, each_document, name_of, prose

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if any("testable" in b.words for b in blocks(path))], ids=name_of
)
def test_examples_run(document: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks(document):
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text)
        if "testable" in block.words:
            sites = [installed_project(path.parent) for path in sorted(tmp_path.glob("*/pyproject.toml"))]
            env["PYTHONPATH"] = os.pathsep.join([*map(str, sites), os.environ.get("PYTHONPATH", "")])
            done = subprocess.run(block.command, cwd=tmp_path, env=env, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_shows_what_the_readme_says() -> None:
    """The answers, and far fewer forwards of the second algorithm; exact figures are the machine's."""
    make = ["make", "--no-print-directory", "--dry-run", "demo"]
    dry = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    plain, fast = compared(shlex.split(dry.stdout.splitlines()[-1])[1:])
    shown = next(block.text for block in blocks(ROOT / "README.md") if block.words == ("text",))
    assert plain["text"] in shown
    assert fast["text"] in shown
    assert fast["nfe"] < plain["nfe"] / 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_comparison_shows_what_the_guide_says() -> None:
    """The settings with their answers, tokens and forwards; seconds are the machine's."""
    guide = blocks(ROOT / "docs" / "command-line.md")
    at = next(n for n, block in enumerate(guide) if block.text.startswith('llada generate "Tuffki'))
    for result in compared(shlex.split(guide[at].text.replace("\\\n", " "))[1:]):
        heading, figures = (
            f"==> {result['setting']} <==",
            (result["usage"]["completion_tokens"], result["nfe"]),
        )
        assert f"{heading}\n{result['text']}\n" in guide[at + 1].text
        row = rf"^{re.escape(result['setting'])} +{figures[0]} +{figures[1]} "
        assert re.search(row, guide[at + 1].text, flags=re.MULTILINE)


def compared(arguments: list[str]) -> list[dict[str, Any]]:
    """The results of ``llada generate`` with several settings."""
    command = [sys.executable, "-m", "llada_core", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return results


def installed_project(folder: Path) -> Path:
    """The folder that the wheel of the project in ``folder`` is installed in, as its sources are now."""
    sources = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".py", ".toml")]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path}\0{path.read_text()}\0".encode())
    site = folder.parent / "sites" / digest.hexdigest()
    if not site.exists():
        build = [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            f"{site}-dist",
        ]
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
        (wheel,) = Path(f"{site}-dist").iterdir()
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
        subprocess.run([*pip, str(wheel)], check=True)
    return site


@each_document
def test_projects_ask_for_the_packages_of_this_repository(document: Path) -> None:
    """They are installed without their dependencies here, so nothing else would notice."""
    for block in blocks(document):
        if block.words[0] == "toml" and "project" in tomllib.loads(block.text):
            asked = [Requirement(line) for line in tomllib.loads(block.text)["project"]["dependencies"]]
            ours = [requirement for requirement in asked if requirement.name.startswith("llada-")]
            assert all(each.specifier.contains(llada_core.__version__) for each in ours)


def anchors(document: Path) -> set[str]:
    """As GitHub and the site make them of the headings: a second one of a name gets -1 behind it."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), flags=re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
    before = [slugs[:at].count(slug) for at, slug in enumerate(slugs)]
    return {f"{slug}-{count}" if count else slug for slug, count in zip(slugs, before, strict=True)}


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


@each_document
def test_addresses_are_well_formed(document: Path) -> None:
    """Whether they answer is not asked: tests reach no network."""
    for found in LINK.finditer(prose(document)):
        if "://" in found["target"]:
            address = urlsplit(found["target"])
            assert address.scheme == "https", found["target"]
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc), found["target"]


@pytest.mark.parametrize("document", sorted(ROOT.glob("packages/*/README.md")), ids=name_of)
def test_what_pypi_shows_has_no_relative_links(document: Path) -> None:
    assert [file for file, _ in links(document) if file] == []


def plugin_guide() -> str:
    return (ROOT / "docs" / "plugins.md").read_text()


def hook_reference() -> str:
    return (ROOT / "docs" / "hooks.md").read_text()


HOOKS = [name for name in hookspecs.__all__ if name.startswith("llada_")]


@pytest.mark.parametrize("name", HOOKS)
def test_the_reference_has_every_hook_with_its_exact_signature(name: str) -> None:
    signature = str(inspect.signature(getattr(hookspecs, name))).replace("'", "")
    assert f"### {name}\n\n```python signature\ndef {name}{signature}: ...\n```\n" in hook_reference()


def test_the_reference_has_no_hook_that_there_is_not() -> None:
    assert sorted(re.findall(r"^### (llada_\w+)$", hook_reference(), flags=re.MULTILINE)) == sorted(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("guide", [plugin_guide, hook_reference])
def test_every_hook_has_an_example(name: str, guide: Callable[[], str]) -> None:
    assert re.search(rf"@hookimpl\ndef {name}\(", guide()), f"no example of {name}"


@pytest.mark.parametrize("kind", [Policy, Rule, BestFirst])
def test_the_plugin_guide_has_every_method_of_policies_and_rules(kind: type) -> None:
    for name in vars(kind):
        method = getattr(kind, name)
        if callable(method) and not name.startswith("_"):
            parameters = ", ".join(each for each in inspect.signature(method).parameters if each != "self")
            assert f"`{name}({parameters})`" in plugin_guide()


@pytest.mark.parametrize("kind", [RuleSpec, PolicySpec])
def test_the_reference_has_every_field_of_a_part(kind: type) -> None:
    guide = hook_reference().partition("### RuleSpec and PolicySpec\n")[2].partition("\n### ")[0]
    assert [each.name for each in dataclasses.fields(kind) if f"| `{each.name}` |" not in guide] == []


@pytest.mark.parametrize(
    "kind", [EngineSpec, AlgorithmSpec, CommandSpec, StrangerSpec, WheelSpec, LoadOptions, Parameter, Plan]
)
def test_the_guides_have_every_field(kind: type) -> None:
    guide = (
        plugin_guide()
        if kind in (LoadOptions, Plan)
        else hook_reference().partition(f"### {kind.__name__}\n")[2]
    )
    for field in dataclasses.fields(kind):
        assert f"`{field.name}`" in guide


def parameter_row(parameter: Parameter) -> str:
    aliases = ", ".join(f"`{alias}`" for alias in parameter.aliases)
    cells = (f"`{parameter.name}`", parameter.expected, shown(parameter.default), aliases, parameter.summary)
    return f"| {' | '.join(cells)} |"


def neutral_row(parameter: Parameter) -> str:
    return f"| `{parameter.name}` | {' or '.join(map(shown, parameter.neutral))} |"


def algorithm_row(info: AlgorithmInfo) -> str:
    """Of one that is composed of parts, its own parameters."""
    taken = [parameter.name for parameter in info.spec.parameters]
    takes = "all standard parameters" if taken == list(STANDARD) else ", ".join(f"`{name}`" for name in taken)
    takes += ", and those of all parts" if info.spec.parts else ""
    own = [
        f"`{parameter.name}` {shown(parameter.default)}"
        for parameter in info.spec.parameters
        if parameter.name in STANDARD and parameter.default != STANDARD[parameter.name].default
    ]
    return f"| `{info.name}` | `{info.engine}` | {takes} | {', '.join(own)} |"


def part_row(info: PartInfo) -> str:
    takes = ", ".join(f"`{parameter.name}` {shown(parameter.default)}" for parameter in info.parameters)
    return f"| `{info.name}` | {info.kind} | `{info.distribution}` | {takes} |"


def shown(default: object) -> str:
    return str(default).lower()


def test_the_parameter_guide_is_what_the_registry_declares() -> None:
    """Its rows are the standard parameters, those that only some algorithms or parts have, the algorithms,
    and the parts."""
    ours = {path.name for path in (ROOT / "packages").iterdir()}
    algorithms = [llada_core.get_algorithm_info(name) for name in llada_core.list_algorithms()]
    algorithms = [info for info in algorithms if info.distribution in ours]
    parts = [llada_core.get_rule_info(name) for name in llada_core.list_rules()]
    parts += [llada_core.get_policy_info(name) for name in llada_core.list_policies()]
    parts = [info for info in parts if info.distribution in ours]
    declared = [*(info.spec.parameters for info in algorithms), *(info.parameters for info in parts)]
    special = [parameter for each in declared for parameter in each if parameter.name not in STANDARD]
    expected = [parameter_row(parameter) for parameter in STANDARD.values()]
    expected += [neutral_row(parameter) for parameter in STANDARD.values() if parameter.neutral]
    expected += dict.fromkeys(map(parameter_row, special))  # of one name there may be several
    expected += [algorithm_row(info) for info in algorithms]
    expected += [part_row(info) for info in parts]
    written = re.findall(r"^\| `.*$", (ROOT / "docs" / "parameters.md").read_text(), flags=re.MULTILINE)
    assert written == expected, "\n".join(["docs/parameters.md should have these rows:", *expected])
