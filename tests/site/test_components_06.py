"""The graph player stepped through in a browser, checked against Python."""

from __future__ import annotations

import pytest
from tests.site import component_pages as demo
from tests.site.test_components import demo_url, play  # noqa: F401

from llmbook.web.graph import differentiate


def number(text: str) -> float:
    """A number as the table shows it, with its sign."""
    return float(text.replace("\u2212", "-"))


def table(page) -> dict[str, list[str]]:
    rows = page.locator(".gp-table tbody tr").all()
    cells = [[c.text_content() for c in row.locator("th, td").all()] for row in rows]
    return {name: values for name, *values in cells}


@pytest.mark.parametrize("which", range(len(demo.GRAPHS)))
def test_at_the_end_every_value_and_derivative_is_pythons(play, which):  # noqa: F811
    page = play("graph_player")
    page.get_by_label("Expression").select_option(str(which))
    page.get_by_role("button", name="To the end").click()
    _, leaves, steps = demo.GRAPHS[which]
    shown = table(page)
    for name, (value, slope) in differentiate(leaves, steps).items():
        assert number(shown[name][0]) == pytest.approx(value, abs=6e-4)
        assert number(shown[name][1]) == pytest.approx(slope, abs=6e-4)
    assert page.get_by_role("button", name="To the end").is_disabled()
    page.get_by_role("button", name="Start again").click()
    assert table(page)["L"] == ["?", "–"]


def test_steps_go_forwards_then_backwards_and_say_what_is_added(play):  # noqa: F811
    page = play("graph_player", width=390)
    says = page.locator(".gp-says")
    step = page.get_by_role("button", name="Step", exact=True)
    step.click()
    assert "Forwards: c = 0.500 × −3.000 = −1.500" in says.inner_text()
    step.click()
    step.click()
    step.click()
    assert "with respect to itself is 1" in says.inner_text()
    before = table(page)
    assert before["L"][1] == "1.000"
    assert before["a"][1] == "0.000"
    page.locator(".gp-buttons button").nth(2).focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert "b had 0.000, and has 0.210 now" in says.inner_text()
    assert number(table(page)["a"][1]) == pytest.approx(-0.84, abs=0.001), "two paths, added up"
    page.keyboard.press("ArrowLeft")
    assert table(page)["b"][1] == "0.000"


def test_the_chapter_holds_four_expressions_that_fit_a_phone(open_page):
    page = open_page("notebooks/06_neural_networks.html", width=390)
    page.wait_for_selector("[data-component=graph_player][data-llmbook-ready=true]")
    player = page.locator("[data-component=graph_player]")
    assert player.locator("option").count() == 4
    for which in range(4):
        player.locator("select").select_option(str(which))
        player.get_by_role("button", name="To the end").click()
        box = player.locator(".gp-plot svg").bounding_box()
        assert 0 <= box["x"] <= 391 - box["width"]
        assert "Done" in player.locator(".gp-says").inner_text()
    assert page.leaks == []
