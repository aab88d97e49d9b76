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
    best.sort(key=lambda row: figures(row)[1])
    section = (ROOT / "README.md").read_text().partition("\n## Compare decoders\n")[2].partition("\n## ")[0]
    expected = [compared_row(row) for row in best]
    assert re.findall(r"^\| `.*$", section, flags=re.MULTILINE) == expected, "\n".join(["write:", *expected])
    assert f"all {len(rows)} settings" in section
    assert f"Of {rows[0]['asked']:,} held-out tasks" in section


def figures(row: Mapping[str, Any]) -> tuple[float, float]:
    """Right answers in percent and tokens per forward, as they are printed."""
    forwards = row["whole"] + row["block"] + row["part"]
    right = int(row["right"], 16).bit_count()
    return round(100 * right / row["asked"], 1), round(row["tokens"] / forwards, 2)


def beats(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    mine, its = figures(one), figures(other)
    return mine != its and all(own >= of for own, of in zip(mine, its, strict=True))


def compared_row(row: Mapping[str, Any]) -> str:
    given = ", ".join(f"`{name}={value}`" for name, value in row["parameters"].items()) or "defaults"
    exact, fast = figures(row)
    columns = row["columns"] / row["tokens"]
    return f"| `{row['algorithm']}` | {given} | {exact:.1f} | {fast:.2f} | {columns:.1f} |"


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_the_readme_leads_to_every_package_and_the_guide_tells_what_it_is() -> None:
    readme, guide = (ROOT / "README.md").read_text(), (ROOT / "docs" / "install.md").read_text()
    for path in ROOT.glob("packages/*/pyproject.toml"):
        name = path.parent.name
        assert f"[{name}](packages/{name}/README.md)" in readme
        assert f"| `{name}` | `{name.replace('-', '_')}` |" in guide
