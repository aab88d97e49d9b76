"""The README is one page: it compares the decoders, and leads to everything else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.docs.documents import ROOT


def test_the_readme_compares_the_settings_of_the_front() -> None:
    """Those of the run on docs/decoders.md that no other beats in both figures, as they are printed; the most
    careful first."""
    rows = json.loads((ROOT / "docs" / "decoders.json").read_text())["rows"]
    best = [row for row in rows if not any(beats(other, row) for other in rows)]
    best.sort(key=lambda row: float(row["tokens_per_forward"]))
    section = (ROOT / "README.md").read_text().partition("\n## Compare decoders\n")[2].partition("\n## ")[0]
    expected = [compared_row(row) for row in best]
    assert re.findall(r"^\| `.*$", section, flags=re.MULTILINE) == expected, "\n".join(["write:", *expected])
    assert f"all {len(rows)} settings" in section


def beats(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    figures = [(round(each["exact"], 1), round(each["tokens_per_forward"], 2)) for each in (one, other)]
    return figures[0] != figures[1] and all(mine >= its for mine, its in zip(*figures, strict=True))


def compared_row(row: Mapping[str, Any]) -> str:
    given = ", ".join(f"`{name}={value}`" for name, value in row["parameters"].items()) or "defaults"
    figures = f"{row['exact']:.1f} | {row['tokens_per_forward']:.2f} | {row['seconds']:.0f}"
    return f"| `{row['algorithm']}` | {given} | {figures} |"


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_the_readme_leads_to_every_package_and_the_guide_tells_what_it_is() -> None:
    readme, guide = (ROOT / "README.md").read_text(), (ROOT / "docs" / "install.md").read_text()
    for path in ROOT.glob("packages/*/pyproject.toml"):
        name = path.parent.name
        assert f"[{name}](packages/{name}/README.md)" in readme
        assert f"| `{name}` | `{name.replace('-', '_')}` |" in guide
