"""What a reader does: search, walk with the keyboard, change the theme, fold, print."""

from __future__ import annotations

import pytest
from tests.site.pages import PAGES, TRANSLATED

WELCOME = PAGES[0]
# The frame is the same on every page; what differs is in the first pages and the chapters.
WALKED = [*PAGES[:2], *(path for path in PAGES if path.startswith("notebooks/"))]
WALKED += [path for path in TRANSLATED if path.endswith(("welcome.html", "07_attention.html"))]
DRAWN = "!window.MathJax || !MathJax.startup || MathJax.startup.document"
TABBABLE = """() => [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex]")]
  .filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true})
    && !e.closest("[inert]") && !(e.type === "radio" && !e.checked))
  .map((e) => { e.dataset.stop = "1"; return e; }).length"""
RECORD = """() => {
  window.stops = [];
  const marked = (e) => [e, ...(e.labels || [])].some((part) => {
    const style = getComputedStyle(part);
    return style.boxShadow !== "none"
      || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0);
  });
  document.addEventListener("focusin", ({target}) => {
    target.dataset.walked = "1";
    window.stops.push({marked: marked(target), html: target.outerHTML.slice(0, 120)});
  });
}"""


def walk(page) -> tuple[list[dict], list[str]]:
    """Press Tab through the page; return the stops, and what a stop was expected at in vain."""
    page.evaluate(RECORD)
    for _ in range(page.evaluate(TABBABLE) + 3):
        page.keyboard.press("Tab")
    missed = page.evaluate(
        "() => [...document.querySelectorAll('[data-stop]:not([data-walked])')]"
        ".map((e) => e.outerHTML.slice(0, 120))"
    )
    return page.evaluate("window.stops"), missed


def test_search_finds_a_phrase(open_page):
    page = open_page("search.html?q=Kneser-Ney+smoothing")
    page.wait_for_selector("#search-results li a")
    assert "04_ngram_models" in page.locator("#search-results li a").first.get_attribute("href")
    assert page.leaks == []


def test_search_works_from_a_folder_without_a_server(browser, html):
    page = browser.new_page()
    page.goto((html / "search.html").as_uri() + "?q=attention")
    page.wait_for_selector("#search-results li a")
    page.close()


def test_control_k_opens_a_search_that_leads_to_results(open_page):
    page = open_page(WELCOME)
    page.keyboard.press("Control+k")
    field = page.locator("dialog input[type=search]")
    field.wait_for(state="visible")
    field.fill("temperature")
    field.press("Enter")
    page.wait_for_url("**/search.html?q=temperature*")
    page.wait_for_selector("#search-results li a")


@pytest.mark.parametrize("path", WALKED)
def test_the_keyboard_reaches_everything_and_the_focus_is_visible(open_page, path):
    page = open_page(path)
    page.wait_for_function(DRAWN)
    stops, missed = walk(page)
    assert missed == []
    assert [stop["html"] for stop in stops if not stop["marked"]] == []


def test_the_first_stop_skips_to_the_text(open_page):
    page = open_page(WELCOME)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")  # it slides
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")


def test_the_theme_button_changes_the_theme_and_the_page_keeps_it(open_page):
    page = open_page(WELCOME, theme="light")
    page.locator("button.theme-switch-button").first.click()
    chosen = page.evaluate("document.documentElement.dataset.mode")
    assert chosen != "light"


def test_printing_leaves_out_the_navigation_and_opens_closed_boxes(open_page):
    page = open_page("book/how_to_use.html")
    page.emulate_media(media="print")
    for selector in ("#pst-primary-sidebar", ".bd-header-article", ".prev-next-footer"):
        assert not page.locator(selector).first.is_visible()
    assert page.locator("article h1").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('article details')].every(d => d.open)")


@pytest.mark.parametrize("path", WALKED)
def test_a_printed_page_is_not_cut_at_its_right_edge(open_page, path):
    page = open_page(path, width=680)  # A4 less two margins of 15 mm
    page.emulate_media(media="print")
    page.wait_for_function(DRAWN)
    cut = page.evaluate(
        """() => [...document.querySelectorAll("article :is(p, li, pre, figure, table)")]
          .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert cut == []
