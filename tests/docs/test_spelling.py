"""How parameters are spelt in what people read: as one types them, ``name=value``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import llada_core

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def apart() -> re.Pattern[str]:
    """A parameter, or a name that is filled in, apart from its value."""
    infos = map(llada_core.get_algorithm_info, llada_core.list_algorithms())
    names = {name for info in infos for each in info.parameters for name in each.names}
    named = rf"\b(?:{'|'.join(sorted(names))}) = (?:['{{\d]|True|False|None)"
    return re.compile(named + r"|^\{\w+\} = \{(?:params|values)\[")


def texts(path: Path) -> Iterator[str]:
    """Those of one line, with what is filled in between braces."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield ast.unparse(node)[2:-1]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            yield node.value


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_write_a_parameter_as_one_types_it(package: str, apart: re.Pattern[str]) -> None:
    sources = (ROOT / "packages" / package / "src").rglob("*.py")
    likely = [path for path in sources if re.search(r"\"[^\"\n]*[\w}] = ", path.read_text())]
    found = [(path.name, text) for path in likely for text in texts(path) if apart.search(text)]
    assert found == []
