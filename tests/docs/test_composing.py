"""The page on compositions has every part and every refusal."""

from __future__ import annotations

import re

import llada_core
from llada_decoders.declared.refusals import REFUSALS
from tests.docs.documents import ROOT

PAGE = (ROOT / "docs" / "composing.md").read_text()


def test_its_refusals_are_the_programs() -> None:
    expected = [f"| `{each.one}` | `{each.other}` | {each.why} |" for each in REFUSALS]
    section = PAGE.partition("## What does not go together")[2]
    written = re.findall(r"^\| `.*$", section, flags=re.MULTILINE)
    assert written == expected, "\n".join(["docs/composing.md should have these rows:", *expected])


def test_it_tells_of_every_part_and_who_brings_it() -> None:
    infos = [llada_core.get_rule_info(name) for name in llada_core.list_rules()]
    infos += [llada_core.get_policy_info(name) for name in llada_core.list_policies()]
    section = PAGE.partition("## The parts")[2].partition("\n## ")[0]
    for info in infos:
        assert re.search(rf"^\| .*`{info.name}`.* \| {info.distribution} \| ", section, flags=re.MULTILINE)
