"""Shannon's guessing game, played in a browser, its bounds checked against Python's."""

from __future__ import annotations

import pytest
from tests.site import component_pages as demo
from tests.site.test_components import demo_url, number, play  # noqa: F401

from llmbook.web import shannon_bounds

WANTED = " cat is away the mice will play"


def cells(page, row: int) -> list[str]:
    return page.locator(".sh-table tbody tr").nth(row).locator("td").all_inner_texts()


def test_typing_plays_the_game_and_the_bounds_are_pythons(play):  # noqa: F811
    page = play("shannon_game")
    field = page.get_by_label("Type your guess")
    field.press_sequentially(" ")
    assert "needed: 10-gram 27, network 1" in page.locator(".sh-status").inner_text()
    for letter in "xec":
        field.press_sequentially(letter)
    assert "3 of your guesses" in page.locator(".sh-status").inner_text()
    field.press_sequentially("aat is away the mice")
    ranks = [1, 3, 1, 2] + [1] * 17
    assert page.locator(".sh-text").inner_text().startswith("When the cat is away, the mice")
    low, high = shannon_bounds(ranks)
    share, lower, upper = cells(page, 0)
    assert number(share) == round(100 * ranks.count(1) / len(ranks))
    assert (number(lower), number(upper)) == pytest.approx((low, high), abs=0.006)
    assert "–" in lower, "an interval stands under the bound after twenty symbols"
    alphabet = "abcdefghijklmnopqrstuvwxyz "
    others = [1 + alphabet.index(c) for c in WANTED[: len(ranks)]]
    assert number(cells(page, 1)[2]) == pytest.approx(shannon_bounds(others)[1], abs=0.006)
    assert [number(text) for text in cells(page, 2)] == [100, 0, 0]
    assert "10-gram 4.75, network 0.50" in page.locator(".sh-note").first.inner_text()


def test_the_letters_can_be_chosen_with_the_arrow_keys(play):  # noqa: F811
    page = play("shannon_game")
    first = page.locator(".sh-key").first
    first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")  # the space
    assert page.locator(".sh-text").inner_text().rstrip("▁").endswith("When the ")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "Not “b”" in page.locator(".sh-status").inner_text()
    assert page.locator(".sh-key").nth(1).get_attribute("aria-disabled") == "true"
    page.keyboard.press("Enter")
    assert "already" in page.locator(".sh-status").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "2 of your guesses" in page.locator(".sh-status").inner_text()


def test_a_reader_who_is_stuck_lets_the_first_player_go_on(play):  # noqa: F811
    page = play("shannon_game", width=390)
    page.locator(".sh-key").last.click()
    page.locator(".sh-key").nth(24).click()  # y is wrong
    page.get_by_role("button", name="Let the 10-gram guess on").click()
    assert "4 of your guesses" in page.locator(".sh-status").inner_text()  # y, a, b, c
    assert page.locator(".sh-far").inner_text() == "c"
    page.get_by_role("button", name="Start again").click()
    assert page.locator(".sh-text").inner_text() == "When the▁"


def test_a_passage_can_be_finished_and_another_begun(play):  # noqa: F811
    page = play("shannon_game")
    helper = page.get_by_role("button", name="Let the 10-gram guess on")
    for _ in WANTED:
        helper.click()
    assert "finished: 31 symbols" in page.locator(".sh-status").inner_text()
    assert helper.is_disabled()
    text = page.locator(".sh-text").inner_text()
    assert text == "When the cat is away, the mice will play"
    page.get_by_label("Text").select_option("1")
    assert page.locator(".sh-text").inner_text() == "How▁"
    assert demo.passages()[1]["hidden"].startswith(" do")
