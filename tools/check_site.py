"""Follows every link of a built site: pages, anchors and files exist, and nothing is loaded from elsewhere.

``nox -s site`` runs it on what it has built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Where elements name what a browser fetches by itself. An `a` is followed by people only.
LOADED = {"img": "src", "link": "href", "script": "src", "source": "src", "iframe": "src"}


@dataclass
class Page(HTMLParser):
    """What a page can be linked at, links to, and loads."""

    text: str
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given:
            self.loads.append(given[LOADED[tag]])


def problems(site: Path) -> Iterator[str]:
    """A sentence for each link that leads nowhere and each thing that comes from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        for target in page.loads:
            if urlsplit(target).scheme not in ("", "data") or target.startswith("//"):
                yield f"{name} loads {target}"
        for target in (*page.links, *page.loads):
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.exists():
                yield f"{name} links to {target}, which does not exist"
            elif parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].anchors:
                yield f"{name} links to {target}, which has no such anchor"


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    found = list(problems(site))
    for problem in found:
        print(problem)
    count = len(list(site.rglob("*.html")))
    if found or not count:
        sys.exit(f"check_site: {len(found)} problems in {count} pages of {site.name}")
    print(f"{count} pages, every link followed")


if __name__ == "__main__":
    main()
