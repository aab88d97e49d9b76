"""The page in a browser, before a server of the small model."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.apps import Running, model_server

pytest.importorskip("playwright", reason="needs playwright, of requirements-dev.txt")
if shutil.which("chromium") is None:
    pytest.skip("needs chromium on the PATH: Debian's package chromium", allow_module_level=True)

from playwright.sync_api import expect

from tests.server.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEY, POLICY = "swordfish", "Content Security Policy"
SORT, SORTED = "Sort the list 9, 4, 7, 1.", "Sorted: 1, 4, 7, 9."
# Notes how many cells are filled whenever the canvas changes.
WATCH = """() => {
  window.filled = [];
  const canvas = document.querySelector(".canvas");
  const count = () => window.filled.push(canvas.querySelectorAll(".cell:not(.masked, .break)").length);
  new MutationObserver(count).observe(canvas, { childList: true, subtree: true, attributes: true });
}"""
# Notes how many cells each change of the canvas touches, from when its cells are there.
TOUCHED = """() => {
  window.touched = [];
  const canvas = document.querySelector(".canvas");
  const cell = (node) => (node.nodeType === Node.TEXT_NODE ? node.parentNode : node).closest(".cell");
  const note = (records) => window.touched.push(new Set(records.map((each) => cell(each.target))).size);
  new MutationObserver(note).observe(canvas, {
    childList: true, subtree: true, attributes: true, characterData: true,
    attributeFilter: ["class", "style", "title"],
  });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    """The page, ready; whatever it asks, of whom, and what its scripts complain of is checked at the end."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    asked: list[str] = []
    broken: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda told: broken.append(told.text) if POLICY in told.text else None)
    page.goto(server.url)
    expect(page.locator(".panel")).to_have_count(1)
    yield page
    page.close()
    assert {f"{server.url}/", f"{server.url}/v1/models"} <= set(asked)
    assert [url for url in asked if not url.startswith((f"{server.url}/", "data:"))] == []
    assert broken == []


def test_a_prompt_is_answered_with_its_figures(page: Page, server: Running) -> None:
    expect(page.locator("#served")).to_have_text(f"llada-tiny on the engine {server.served.engine}")
    ask(page, SORT)
    expect(page.locator(".answer")).to_have_text(SORTED)
    told = figures(page.locator(".panel"))
    assert (told["NFE"], told["tokens"], told["tokens/forward"]) == ("2", "14", "7.00")
    expect(page.locator("#problem")).to_be_hidden()


def test_the_canvas_fills_cell_by_cell(page: Page) -> None:
    page.locator(".algorithm").select_option("basic")
    page.evaluate(WATCH)
    ask(page, SORT)
    filled = page.evaluate("window.filled")
    assert {*range(1, 15)} <= set(filled)
    assert filled == sorted(filled)


def test_a_forward_touches_the_cells_that_it_changes_and_no_others(page: Page) -> None:
    page.locator(".algorithm").select_option("basic")
    page.locator("summary").click()
    for name, value in (
        ("steps", "64"),
        ("threshold", "none"),
        ("gen_length", "64"),
        ("block_length", "64"),
    ):
        page.locator(f"[data-parameter={name}]").fill(value)
    page.evaluate(TOUCHED)
    ask(page, SORT)
    touched = page.evaluate("window.touched")[1:]  # the first change makes the cells
    assert page.locator(".cell").count() == 64
    assert len(touched) > 5
    # The new one and the one before it; the last change shows what is behind the end. Frames that come
    # together are one change.
    assert sorted(touched)[len(touched) // 2] <= 4
    nodes = page.locator(".cell").element_handles()
    page.locator(".scrub").fill("1")
    page.locator(".scrub").fill(str(page.locator(".scrub").get_attribute("max")))
    assert page.locator(".cell").count() == 64
    assert all(node.evaluate("node => node.isConnected") for node in nodes)


def answer_with(page: Page, frames: list[dict[str, Any]]) -> None:
    """Let the page be told these frames, whatever it asks."""
    shape = {"object": "generation.denoise", "gen_length": 3, "inserted": [], "choices": []}
    told = "".join(f"data: {json.dumps({**shape, **frame})}\n\n" for frame in frames) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=told))


def test_cells_come_where_masks_are_put_in_and_go_at_the_end(page: Page) -> None:
    nothing: dict[str, Any] = {"positions": [], "texts": [], "confidence": [], "revoked": []}
    frames = [
        {**nothing, "positions": [0, 2], "texts": ["a", "b"], "confidence": [0.9, 0.8]},
        {**nothing, "inserted": [[1, 2]], "gen_length": 5},
        {
            **nothing,
            "inserted": [[4, 1], [2, 1]],
            "gen_length": 6,
            "positions": [2],
            "texts": ["c"],
            "confidence": [0.7],
        },
    ]
    answer_with(page, frames)
    ask(page, SORT)
    for count, cells in ((3, "a·c···"), (1, "a·b"), (2, "a···b"), (0, "···"), (3, "a·c···")):
        page.locator(".scrub").fill(str(count))
        assert "".join(page.locator(".cell").all_text_contents()) == cells


def test_lines_break_where_the_answer_has_new_ones(page: Page) -> None:
    frames = [
        {"positions": [0, 1], "texts": ["a\n", "b"], "confidence": [0.9, 0.8], "revoked": []},
        {"positions": [0], "texts": ["c"], "confidence": [0.7], "revoked": [0]},
        {"positions": [2], "texts": ["d"], "confidence": [0.6], "revoked": [1]},
    ]
    answer_with(page, frames)
    ask(page, SORT)
    for count, cells, breaks in ((3, "c·d", 0), (1, "a⏎b·", 1), (2, "cb·", 0), (0, "···", 0), (3, "c·d", 0)):
        page.locator(".scrub").fill(str(count))
        assert "".join(page.locator(".cell").all_text_contents()) == cells
        assert page.locator(".cell.break").count() == breaks


def test_text_is_shown_before_all_of_it_is_there(page: Page) -> None:
    page.evaluate(
        """() => {
          window.texts = new Set();
          const answer = document.querySelector(".answer");
          const note = () => window.texts.add(answer.textContent);
          new MutationObserver(note).observe(answer, { childList: true });
        }"""
    )
    ask(page, page.locator("#prompt").input_value())  # what the page proposes: an answer of three blocks
    *parts, whole = [text for text in page.evaluate("[...window.texts]") if text]
    assert whole == page.locator(".answer").text_content()
    assert len(parts) > 1
    assert all(whole.startswith(text) for text in parts)


def test_any_moment_can_be_shown_again(page: Page) -> None:
    ask(page, SORT)
    scrub, masked = page.locator(".scrub"), page.locator(".cell.masked")
    after = masked.count()
    scrub.fill("0")
    expect(page.locator(".at")).to_have_text("0 / 2")
    assert masked.count() == page.locator(".cell").count() > after
    scrub.fill("1")
    expect(page.locator(".cell.new").first).to_be_visible()
    page.locator(".play").click()
    expect(page.locator(".at")).to_have_text("2 / 2")
    expect(masked).to_have_count(after)
    expect(page.locator(".play")).to_have_accessible_name("play")


def test_the_canvas_tells_what_colours_mean(page: Page) -> None:
    ask(page, SORT)
    cell = page.locator(".cell").first
    expect(cell).to_have_attribute("title", re.compile(r'"Sorted" in forward \d, \d+\.\d % sure'))
    by_confidence = painted(cell)
    page.locator("#colour").select_option("step")
    expect(page.locator("#legend")).to_have_text(re.compile(r"late\s+early"))
    assert painted(cell) != by_confidence
    page.locator("#colour").select_option("none")
    expect(page.locator("#legend")).to_be_hidden()
    assert page.locator(".cell[style*=background]").count() == 0


@pytest.mark.parametrize("together", [False, True])
def test_two_algorithms_answer_side_by_side(page: Page, together: bool) -> None:
    page.locator("#tab-compare").click()
    expect(page.locator(".panel")).to_have_count(2)
    page.locator("#together").set_checked(together)
    left, right = page.locator(".panel").nth(0), page.locator(".panel").nth(1)
    assert left.locator(".algorithm").input_value() != right.locator(".algorithm").input_value()
    right.locator(".algorithm").select_option("basic")
    ask(page, SORT)
    for panel in (left, right):
        expect(panel.locator(".answer")).to_have_text(SORTED)
    assert int(figures(left)["NFE"]) < int(figures(right)["NFE"])
    assert {"tokens/forward", "decoding", "in all"} <= set(figures(left))
    assert top(left.locator(".canvas")) == top(right.locator(".canvas"))


def test_one_that_fails_leaves_the_other_its_answer(page: Page) -> None:
    page.locator("#tab-compare").click()
    page.locator("#together").check()
    page.locator("summary").first.click()
    page.locator("[data-parameter=threshold]").first.fill("7")
    ask(page, SORT)
    assert page.locator(".answer").nth(1).text_content() == SORTED  # Stop works until then
    expect(page.locator("#problem")).to_contain_text("threshold")


def test_blanks_are_filled_between_what_is_given(page: Page) -> None:
    page.locator("#tab-infill").click()
    page.locator("#context").fill(SORT)
    ask(page, "Sorted: {{7}}, 9.")
    expect(page.locator(".answer")).to_have_text(SORTED)
    given = page.locator(".cell.fixed").all_text_contents()
    assert "".join(given) == "Sorted: , 9."
    page.locator("summary").click()
    expect(page.locator("[data-parameter=gen_length]")).to_have_count(0)


def test_text_before_the_first_blank_is_shown_once(page: Page) -> None:
    page.locator("#tab-infill").click()
    page.locator("#context").fill("")
    ask(page, "A {{{{brace: {{4}}, 9.")
    cells = page.locator(".cell:not(.special)").all_text_contents()
    assert "".join(cells) == page.locator(".answer").text_content()
    assert cells[0] == "A {{brace: "


def test_filling_blanks_is_offered_where_an_algorithm_can(browser: Browser, server: Running) -> None:
    listed = httpx.get(f"{server.url}/generation/algorithms", timeout=60).json()  # it imports all engines
    told = [{**each, "infills": each["infills"] and each["name"] == "basic"} for each in listed["data"]]
    page = browser.new_page()
    page.route("**/generation/algorithms", lambda route: route.fulfill(json={**listed, "data": told}))
    page.goto(server.url)
    page.locator("#tab-infill").click()
    expect(page.locator(".algorithm option")).to_have_text(["basic"])
    for each in told:
        each["infills"] = False
    page.goto(server.url)
    expect(page.locator(".panel")).to_have_count(1)
    expect(page.locator("#tab-infill")).to_be_hidden()
    page.locator("#tab-generate").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tab-compare")).to_be_focused()
    page.close()


def test_an_error_is_shown_in_the_words_of_the_api(page: Page, server: Running) -> None:
    page.locator("summary").click()
    page.locator("[data-parameter=threshold]").fill("7")
    ask(page, SORT)
    asked = {"messages": [{"role": "user", "content": SORT}], "threshold": 7}
    with server.client() as client:
        told = client.post("/v1/chat/completions", json=asked).json()["error"]
    expect(page.locator("#problem")).to_have_text(told["message"])
    expect(page.locator("[aria-invalid=true]")).to_have_attribute("data-parameter", told["param"])
    page.locator("[data-parameter=threshold]").fill("0.8")
    ask(page, SORT)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    expect(page.locator(".answer")).to_have_text(SORTED)


@pytest.mark.parametrize("text", ["much", "Infinity", "36893488147419103232"])
def test_what_no_number_holds_is_left_to_the_server(page: Page, text: str) -> None:
    page.locator("summary").click()
    page.locator("[data-parameter=seed]").fill(text)
    with page.expect_request("**/v1/chat/completions") as asked:
        ask(page, SORT)
    assert json.loads(asked.value.post_data or "")["seed"] == text
    expect(page.locator("#problem")).to_contain_text("seed")


def test_a_run_is_stopped(page: Page) -> None:
    page.locator(".algorithm").select_option("basic")
    page.locator("#prompt").fill(SORT)
    page.locator("#run").click()
    page.locator(".cell:not(.masked)").first.wait_for()
    page.locator("#stop").click()
    expect(page.locator("#form")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#problem")).to_be_hidden()
    assert page.locator(".figures").text_content() == ""
    assert page.locator(".cell.masked").count() > 0


def test_a_stream_that_breaks_off_is_no_answer(page: Page) -> None:
    said = 'data: {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "Sor"}}]}\n\n'
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=said))
    ask(page, SORT)
    expect(page.locator("#problem")).to_contain_text("broke off")
    expect(page.locator(".answer")).to_have_text("Sor")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.locator("#tab-generate").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-compare")).to_be_focused()
    expect(page.locator("#tab-compare")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    expect(page.locator("#prompt")).to_be_focused()
    page.locator("#prompt").fill(SORT)
    page.keyboard.press("Tab")
    expect(page.locator("#run")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_text(SORTED)
    expect(page.locator("#run")).to_be_focused()
    page.locator(".scrub").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".at")).to_have_text("1 / 2")


def test_keys_start_and_stop_a_run(page: Page) -> None:
    page.locator(".algorithm").select_option("basic")
    page.locator("#prompt").fill(SORT)
    page.keyboard.press("Control+Enter")
    page.locator(".cell:not(.masked)").first.wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("#form")).to_have_attribute("aria-busy", "false")
    assert page.locator(".figures").text_content() == ""


def test_the_key_is_asked_for_where_one_is_set(browser: Browser) -> None:
    with model_server(api_key=KEY) as locked:
        page = browser.new_page()
        page.goto(locked.url)
        expect(page.locator("#key")).to_be_focused()
        expect(page.locator(".panel")).to_have_count(0)
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#problem")).to_contain_text("asks for its key")
        page.locator("#key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#access")).to_be_hidden()
        expect(page.locator("#problem")).to_be_hidden()
        ask(page, SORT)
        expect(page.locator(".answer")).to_have_text(SORTED)
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser: Browser, server: Running, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(server.url)
    page.locator(".panel").wait_for()
    assert (luminance(page, "backgroundColor") < 0.2) is (scheme == "dark")
    assert contrast(page) > 7
    page.locator("#theme").click()
    assert (luminance(page, "backgroundColor") < 0.2) is (scheme == "light")
    assert contrast(page) > 7
    page.close()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("tab", ["generate", "compare", "infill"])
def test_nothing_is_wider_than_the_window(page: Page, width: int, tab: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.locator(f"#tab-{tab}").click()
    page.locator("summary").first.click()
    ask(page, SORT if tab != "infill" else "Sorted: {{7}}, 9.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def ask(page: Page, text: str) -> None:
    """Run the open tab on ``text`` and wait for its end."""
    page.locator("#prompt").fill(text)
    page.locator("#run").click()
    page.locator("#form[aria-busy=false]").wait_for()


def figures(panel: Locator) -> dict[str, str]:
    """What a panel tells of its answer, by name."""
    terms = panel.locator("dt").all_text_contents()
    return dict(zip(terms, panel.locator("dd").all_text_contents(), strict=True))


def painted(cell: Locator) -> str:
    return str(cell.evaluate("node => node.style.backgroundColor"))


def top(found: Locator) -> float:
    box = found.bounding_box()
    assert box is not None
    return box["y"]


def luminance(page: Page, of: str) -> float:
    """The relative luminance, 0 to 1, of a colour of the body, as WCAG defines it."""
    told = page.evaluate(f"getComputedStyle(document.body).{of}")
    parts = [int(part) / 255 for part in re.findall(r"\d+", told)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(page: Page) -> float:
    """Of the body's text on its ground; 4.5 is the least that WCAG asks for."""
    low, high = sorted((luminance(page, "color"), luminance(page, "backgroundColor")))
    return (high + 0.05) / (low + 0.05)
