"""The README is one page: it compares the decoders, and leads to everything else."""

from __future__ import annotations

import re
from typing import Any

from llada_core.bench import front
from tests.docs.documents import ROOT
from tests.support.programs import programs


def test_the_readme_compares_the_settings_of_the_front() -> None:
    """Those of the run on docs/decoders.md that no other beats in both figures, as they are printed; the most
    careful first."""
    with programs("decoder_settings", "decoder_rows") as loaded:
        rows = loaded.decoder_rows.Run.read(ROOT / "docs" / "decoders-all.json").rows
        named = {point.name for point in front([row.by_forwards for row in rows])}
        best = sorted((row for row in rows if row.setting in named), key=lambda row: row.tokens_per_forward)
        expected = [compared_row(row) for row in best]
    section = (ROOT / "README.md").read_text().partition("\n## Compare decoders\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `.*$", section, flags=re.MULTILINE) == expected, "\n".join(["write:", *expected])
    assert f"all {len(rows)} settings" in section


def compared_row(row: Any) -> str:
    given = ", ".join(f"`{name}={value}`" for name, value in row.parameters.items()) or "defaults"
    figures = f"{row.by_forwards.accuracy} | {row.tokens_per_forward:.2f} | {row.columns_per_token:.1f}"
    return f"| `{row.algorithm}` | {given} | {figures} |"


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_the_readme_leads_to_every_package_and_the_guide_tells_what_it_is() -> None:
    readme, guide = (ROOT / "README.md").read_text(), (ROOT / "docs" / "install.md").read_text()
    for path in ROOT.glob("packages/*/pyproject.toml"):
        name = path.parent.name
        assert f"[{name}](packages/{name}/README.md)" in readme
        assert f"| `{name}` | `{name.replace('-', '_')}` |" in guide
