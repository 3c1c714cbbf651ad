"""Every page of the built site, in a real browser with the network blocked."""

from __future__ import annotations

import pytest
from tests.site.pages import ALL_PAGES, PAGES, TRANSLATED, WRITTEN
from tests.site.visit import axe_violations

BUDGET_MB = 1.5
THEMES = ("light", "dark")
# The translated pages are built like the others: all in light, in dark those that differ most.
IN_BOTH = [path for path in ALL_PAGES if path not in TRANSLATED]
IN_BOTH += [path for path in TRANSLATED if path.endswith(("welcome.html", "07_attention.html"))]
VISITS = [
    (path, theme) for path in ALL_PAGES for theme in THEMES if theme == "light" or path in IN_BOTH
]


@pytest.mark.parametrize(("path", "theme"), VISITS)
def test_no_request_leaves_the_page(visit, path, theme):
    assert visit(path, theme).leaks == []


@pytest.mark.parametrize(("path", "theme"), VISITS)
def test_the_console_shows_no_error_and_nothing_is_missing(visit, path, theme):
    seen = visit(path, theme)
    assert (seen.errors, seen.missing) == ([], [])


@pytest.mark.parametrize(("path", "theme"), VISITS)
def test_axe_finds_no_violation(visit, path, theme):
    assert visit(path, theme).violations == []


@pytest.mark.parametrize("path", ALL_PAGES)
def test_a_page_weighs_no_more_than_its_budget(visit, path):
    seen = visit(path, "light")
    heaviest = sorted(seen.sizes.items(), key=lambda item: -item[1])[:5]
    assert seen.megabytes <= BUDGET_MB, heaviest


@pytest.mark.parametrize("path", WRITTEN)
def test_mathematics_is_drawn(visit, path):
    maths = visit(path, "light").maths
    assert maths["errors"] == []
    assert maths["raw"] == 0
    assert maths["drawn"] == maths["written"]


@pytest.mark.parametrize("path", ALL_PAGES)
def test_icon_script_and_search_index_are_loaded_only_where_needed(visit, path):
    names = {name.split("?")[0] for name in visit(path, "light").sizes}
    assert not [name for name in names if "fontawesome" in name]
    loads = any(name.endswith("searchindex.js") for name in names)
    assert loads == path.endswith("search.html")


@pytest.mark.parametrize("path", WRITTEN)
def test_the_widget_manager_is_loaded_only_for_a_widget(visit, html, path):
    needs = "application/vnd.jupyter.widget-state+json" in (html / path).read_text("utf-8")
    loads = any("embed-amd" in name for name in visit(path, "light").sizes)
    assert loads == needs


@pytest.mark.parametrize("path", ALL_PAGES)
def test_a_page_does_not_scroll_sideways_on_a_phone(open_page, path):
    page = open_page(path, width=390)
    page.wait_for_function("!window.MathJax || !MathJax.startup || MathJax.startup.document")
    wide = page.evaluate(
        """() => {
          const limit = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= limit) return [];
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.getBoundingClientRect().right > limit + 1)
            .slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
        }"""
    )
    assert wide == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_no_violation_on_a_phone_with_the_menu_open(open_page, theme):
    page = open_page(PAGES[0], theme=theme, width=390)
    assert axe_violations(page) == []
    page.locator("button.primary-toggle").first.click()
    page.locator("#pst-primary-sidebar-modal").wait_for(state="visible")
    assert axe_violations(page) == []
