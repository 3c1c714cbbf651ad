"""The self-check and gradient descent played with in a browser, checked against Python."""

from __future__ import annotations

import numpy as np
import pytest
from tests.site import component_pages as demo
from tests.site.test_components import demo_url, number, play  # noqa: F401

from llmbook.web.descent import descend

RIGHT, WRONG = 1, 1  # the second choice: right for the first question, wrong for the second


def choose(page, question: int, choice: int) -> None:
    page.locator(".qz-item").nth(question).locator("button").nth(choice).click()


def route(page) -> list[str]:
    return page.locator(".sc-route li").all_inner_texts()


def test_the_first_answers_make_the_route(play):  # noqa: F811
    page = play("self_check")
    assert route(page) == []
    choose(page, 0, RIGHT)
    assert "skip" in page.locator(".qz-why").first.inner_text()
    choose(page, 1, WRONG)
    assert route(page) == ["Weights (11 minutes)", "Summary (3 minutes)"]
    assert "1 of 2 right" in page.locator(".sc-says").inner_text()
    assert "takes 14 minutes" in page.locator(".sc-says").inner_text()
    choose(page, 1, 0)  # right at the second try: the section stays on the route
    assert "Worth 11 minutes" in page.locator(".qz-why").nth(1).inner_text()
    assert len(route(page)) == 2
    page.get_by_role("button", name="Start again").click()
    assert route(page) == []


def test_not_being_sure_is_an_answer_and_links_lead_where_the_page_has_the_section(play):  # noqa: F811
    page = play("self_check", width=390)
    page.locator(".qz-item").first.locator("button").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert route(page) == ["Masks (7 minutes)", "Summary (3 minutes)"]
    assert page.locator(".qz-choice").nth(2).inner_text().endswith("I am not sure")
    assert page.locator(".sc-route a").all_inner_texts() == ["Masks"]
    page.locator(".sc-route a").click()
    assert page.url.endswith("#masks")


def values(page) -> list[str]:
    return page.locator(".de-table td").all_inner_texts()


def shown_number(text: str) -> float:
    """A number as the table shows it; 2.2 × 10¹⁰ is read as such."""
    first, _, power = text.partition("×")
    exponent = power.strip()[2:].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
    return number(first) * 10.0 ** int(exponent or 0)


def set_slider(page, label: str, value: float) -> None:
    page.get_by_label(label).evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", value
    )


@pytest.mark.parametrize(
    ("rate", "words"), [(0.1, "descends"), (0.3, "jumps across"), (0.4, "diverges")]
)
def test_the_numbers_are_pythons_and_the_verdict_follows_the_curvature(play, rate, words):  # noqa: F811
    page = play("descent_explorer")
    set_slider(page, "Learning rate", rate)
    surface = demo.SURFACES["valley"]
    hessian, minimum = np.array(surface["hessian"]), np.array(surface["minimum"])
    flat, steep = np.linalg.eigvalsh(hessian)
    places = descend(hessian, minimum, np.array([-0.5, 1.0]), rate, 30)
    error = places[-1] - minimum
    loss, limit, by_steep, by_flat = values(page)
    expected = 0.25 + error @ hessian @ error / 2
    assert shown_number(loss) == pytest.approx(expected, rel=0.03)
    assert number(limit) == pytest.approx(2 / steep, abs=0.001)
    assert number(by_steep) == pytest.approx(abs(1 - rate * steep), abs=0.001)
    assert number(by_flat) == pytest.approx(abs(1 - rate * flat), abs=0.001)
    assert words in page.locator(".de-verdict").inner_text()


def test_the_start_moves_by_keyboard_and_by_pointer_and_the_surface_changes(play):  # noqa: F811
    page = play("descent_explorer", width=390)
    knob = page.get_by_role("slider", name="Start")
    before = knob.get_attribute("aria-valuetext")
    knob.focus()
    page.keyboard.press("ArrowRight")
    moved = knob.get_attribute("aria-valuetext")
    assert moved != before
    page.locator(".de-map svg").click(position={"x": 40, "y": 50})
    assert knob.get_attribute("aria-valuetext") not in (before, moved)
    set_slider(page, "Steps", 1)
    assert page.locator(".de-steps circle").count() == 1
    page.get_by_role("button", name="bowl").click()
    assert number(values(page)[1]) == 1.0
    set_slider(page, "Learning rate", 0.5)
    assert number(values(page)[0]) == 1.0, "one step reaches the floor of a round bowl"


def test_the_chapter_sends_its_reader_to_sections_that_exist(open_page):
    page = open_page("notebooks/00_mathematics_and_tensors.html", width=390)
    page.wait_for_selector("[data-component=self_check][data-llmbook-ready=true]")
    check = page.locator("[data-component=self_check]")
    items = check.locator(".qz-item")
    assert items.count() == 10
    for item in items.all():
        item.locator("button").last.click()
    assert check.locator(".sc-route a").count() == 11
    assert "0 of 10 right. Your route takes 60 minutes" in check.locator(".sc-says").inner_text()
    assert page.leaks == []
