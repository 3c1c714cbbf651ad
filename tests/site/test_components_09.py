"""The error museum played with in a browser."""

from __future__ import annotations

from tests.site import component_pages as demo
from tests.site.test_components import demo_url, play  # noqa: F401


def choose(page, choice: int) -> None:
    page.locator(".qz-choice").nth(choice).click()


def score(page) -> str:
    return page.locator(".qz-score").inner_text()


def test_a_right_diagnosis_opens_the_answer_and_counts(play):  # noqa: F811
    page = play("error_museum")
    assert "3 broken runs" in score(page)
    assert page.locator(".em-answer").inner_text() == ""
    assert "4.40 to 0.14" in page.locator(".em-panels svg").first.get_attribute("aria-label")
    choose(page, demo.MUSEUM[0]["answer"])
    shown = page.locator(".em-answer").inner_text()
    assert "The loss ends near 0.1." in shown
    assert "torch.ones(T, T)" in shown
    assert "1 of 1 diagnosed at the first try" in score(page)


def test_a_wrong_diagnosis_keeps_the_answer_shut_and_the_first_try_counts(play):  # noqa: F811
    page = play("error_museum")
    choose(page, 1)
    assert "Look again. Nothing moves." in page.locator(".qz-why").inner_text()
    assert page.locator(".em-answer").inner_text() == ""
    choose(page, 0)
    assert "tell-tale sign" in page.locator(".em-answer").inner_text()
    assert "0 of 1 diagnosed" in score(page)
    assert page.locator(".em-tab").first.get_attribute("aria-label").endswith("first try")
    page.get_by_role("button", name="Start again").click()
    assert "3 broken runs" in score(page)


def test_the_museum_is_walked_through_by_keyboard_on_a_phone_and_remembers(play):  # noqa: F811
    page = play("error_museum", width=390)
    page.locator(".em-tab").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "Exhibit 2 of 3" in page.locator(".em-stage .qz-title").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert "Look again" in page.locator(".qz-why").inner_text()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert "Right." in page.locator(".qz-why").inner_text()
    page.get_by_role("button", name="Next exhibit").click()
    assert "Exhibit 3 of 3" in page.locator(".em-stage .qz-title").inner_text()
    page.locator(".em-tab").nth(1).click()
    assert "Right." in page.locator(".qz-why").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
