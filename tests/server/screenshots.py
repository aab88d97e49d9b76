"""The pictures of the playground under docs/images: ``python -m tests.server.screenshots [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.server.apps import model_server
from tests.server.browser import chromium

__all__ = ["shoot"]

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FADE_MS = 300  # in which cells have taken their colours
WIDE, LOW, NARROW = (1280, 800), (1280, 616), (400, 800)


def shoot(folder: Path) -> None:
    """Write a picture of each tab to ``folder``, one of them dark, and one of a narrow window."""
    folder.mkdir(parents=True, exist_ok=True)
    with model_server() as server, chromium() as browser:
        page = _answered(browser, server.url, "generate", size=LOW)
        page.locator(".scrub").fill("5")
        page.wait_for_timeout(FADE_MS)
        page.screenshot(path=folder / "playground-generate.png")
        _answered(browser, server.url, "compare").screenshot(path=folder / "playground-compare.png")
        _answered(browser, server.url, "infill").screenshot(path=folder / "playground-infill.png")
        dark = _answered(browser, server.url, "compare", scheme="dark")
        dark.screenshot(path=folder / "playground-dark.png")
        narrow = _answered(browser, server.url, "generate", size=NARROW)
        narrow.screenshot(path=folder / "playground-narrow.png", full_page=True)


def _answered(
    browser: Browser,
    url: str,
    tab: str,
    *,
    scheme: Literal["light", "dark"] = "light",
    size: tuple[int, int] = WIDE,
) -> Page:
    """A page on which ``tab`` has been asked what it proposes, and every panel has its figures."""
    width, height = size
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
    page.goto(url)
    page.locator(".panel").wait_for()
    page.locator(f"#tab-{tab}").click()
    page.locator("#run").click()
    page.locator("#form[aria-busy=false]").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(FADE_MS)
    return page


if __name__ == "__main__":
    shoot(Path(sys.argv[1]) if sys.argv[1:] else IMAGES)
