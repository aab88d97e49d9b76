"""The guide of replicas tells every argument, and its configuration is one."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from llada_server.ray.settings import PoolSettings, settings_of
from tests.docs.documents import ROOT, blocks

GUIDE = ROOT / "docs" / "ray.md"


def test_the_arguments_are_all_there_with_their_defaults() -> None:
    written = re.findall(r"^\| `(\w+)` \| (.*?) ?\|", GUIDE.read_text(), flags=re.MULTILINE)
    assert written == [
        (each.name, "" if each.default is None else str(each.default)) for each in fields(PoolSettings)
    ]


def test_the_configuration_names_settings_that_there_are() -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    (block,) = [block for block in blocks(GUIDE) if block.words[0] == "yaml"]
    (application,) = yaml.safe_load(block.text)["applications"]
    _, pool = settings_of(application["args"])
    assert (pool.least, pool.most) == (1, 4)
