"""The guide of the server tells all of it, and its examples run against one.

In the first line of a fenced block, ``served`` means that it must run while a server listens.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from llada_server.command import serve
from llada_server.given import PREFIX, from_file
from llada_server.http.wire.neutral import NEUTRAL
from llada_server.metrics import Metrics
from llada_server.reference_flags import program
from llada_server.serving import application_of
from llada_server.settings import ServerSettings
from tests.docs.documents import DOCUMENTS, ROOT, blocks, name_of
from tests.server.apps import Running, model_server, scripted_server

HTTP = ROOT / "packages" / "llada-server" / "src" / "llada_server" / "http"
SETTING_OF = {  # by the flag's name
    "no_chat_template": "use_chat_template",
    "no_log_requests": "log_requests",
    "assignments": "parameters",
    "named": "model",
}
SERVED = [
    pytest.param(document, number, id=f"{name_of(document)}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(blocks(document))
    if "served" in block.words
]


def guide() -> str:
    return (ROOT / "docs" / "server.md").read_text()


def section(heading: str) -> str:
    """What stands under a heading of the guide, up to the next one."""
    _, found, rest = guide().partition(f" {heading}\n")
    assert found, f"docs/server.md has no heading {heading}"
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def shown(default: Any) -> str:
    return "" if default is None or default in ("", ()) or default == {} else str(default).lower()


def cells_of(setting: str, flags: list[click.Parameter]) -> list[str]:
    words = [
        setting.upper() if isinstance(flag, click.Argument) else name for flag in flags for name in flag.opts
    ]
    names = ", ".join(f"`{word}`" for word in words)
    return [names, f"`{PREFIX}{setting.upper()}`", shown(getattr(ServerSettings(), setting))]


def test_the_settings_are_all_there_with_flag_variable_and_default() -> None:
    flags: dict[str, list[click.Parameter]] = {}
    for flag in serve.params:
        flags.setdefault(SETTING_OF.get(str(flag.name), str(flag.name)), []).append(flag)
    expected = [cells_of(each.name, flags.pop(each.name)) for each in fields(ServerSettings)]
    assert set(flags) == {"config"}
    written = re.findall(r"^\| `.*$", section("Settings"), flags=re.MULTILINE)
    assert [[cell.strip() for cell in row.split("|")[1:4]] for row in written] == expected


def test_the_flags_of_the_reference_service_are_all_there() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section("Flags of the service that came before"), flags=re.MULTILINE)
    written = [name for row in rows for name in re.findall(r"`(--[\w-]+)`", row)]
    assert sorted(written) == sorted(name for flag in program.params for name in flag.opts)


def test_the_metrics_are_all_there() -> None:
    metrics = Metrics("m")
    metrics.watch(running=lambda: 0, accepted=lambda: 0, columns=1)
    expected = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for family in metrics.registry.collect()
    }
    written = re.findall(r"^\| `(llada_\w+)` \| (\w+) \|", section("Metrics"), flags=re.MULTILINE)
    assert set(written) == expected


def test_the_paths_are_all_there() -> None:
    with scripted_server() as running:
        document = application_of(running.served, Metrics("m")).openapi()
    served = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    cells = re.findall(r"^\| (`.*?) \|", section("Paths"), flags=re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == served


def codes(node: ast.AST) -> Iterator[str]:
    """The values that an expression for a code can have."""
    if isinstance(node, ast.IfExp):
        yield from (*codes(node.body), *codes(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_the_codes_of_errors_are_all_there() -> None:
    nodes = [node for path in HTTP.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    given = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "code"]
    given += [node.value for node in nodes if isinstance(node, ast.Assign) and named(node) == "code"]
    rows = re.findall(r"^\| \d+ \| `\w+` \| (.*?) ?\|", section("Errors"), flags=re.MULTILINE)
    written = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert written == {code for value in given for code in codes(value)}


def named(assignment: ast.Assign) -> str:
    return ast.unparse(assignment.targets[0])


def test_the_file_of_the_guide_can_be_read(tmp_path: Path) -> None:
    (file,) = [block for block in blocks(ROOT / "docs" / "server.md") if block.words[0] == "toml"]
    (tmp_path / "serve.toml").write_text(file.text)
    told = from_file(tmp_path / "serve.toml")
    assert ServerSettings(**told).parameters == {"threshold": 0.8}


def test_the_fields_that_are_not_implemented_are_all_there() -> None:
    table = section("Requests").partition("| passes at |")[2]
    cells = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(NEUTRAL)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with model_server() as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("document", "number"), SERVED)
def test_examples_run_against_a_server(document: Path, number: int, server: Running) -> None:
    block = blocks(document)[number]
    assert "127.0.0.1:8000" in block.text
    block = replace(block, text=block.text.replace("127.0.0.1:8000", server.url.removeprefix("http://")))
    done = subprocess.run(block.command, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    assert '"error"' not in done.stdout, done.stdout
    assert done.stdout


def wire() -> Iterator[type[BaseModel]]:
    """What requests and answers are made of."""
    folder = HTTP / "wire"
    for name in sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"):
        module = importlib.import_module(f"llada_server.http.wire.{name}")
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__:
                yield kind


# Answers whose fields are OpenAI's, which its reference tells.
OPENAIS = {
    *(
        "ChatChoice",
        "ChatChunk",
        "ChatCompletion",
        "ChatLogprobs",
        "ChatMessage",
        "ChunkChoice",
        "Completion",
    ),
    *(
        "CompletionChoice",
        "CompletionChunk",
        "CompletionLogprobs",
        "Delta",
        "InfillChunk",
        "InfillCompletion",
    ),
    *("ModelCard", "ModelList", "TokenLogprob", "TopLogprob", "Usage"),
}


@pytest.mark.parametrize("kind", list(wire()), ids=lambda kind: kind.__name__)
def test_every_field_of_requests_and_of_our_own_answers_is_there(kind: type[BaseModel]) -> None:
    names = {field.alias or name for name, field in kind.model_fields.items()}
    told = {name for name in names if re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", guide())}
    assert kind.__name__ in OPENAIS or names == told, sorted(names - told)
