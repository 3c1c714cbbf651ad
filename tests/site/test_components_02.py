"""The chart player, stepped through in a browser, its probabilities compared with Python's."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tests.site.component_pages import AMBIGUOUS
from tests.site.test_components import demo_url, play  # noqa: F401
from tests.site.visit import axe_violations

from llmbook import web
from llmbook.web.chart import parses


def test_the_two_trees_have_the_probabilities_that_a_hand_finds():
    found = parses(AMBIGUOUS, "she sees birds with glasses".split(), "S")
    common = Fraction(1, 2) * Fraction(3, 4) * Fraction(1, 4) * Fraction(1, 8)
    assert [p for p, _ in found] == [common * Fraction(1, 4), common * Fraction(1, 8)]
    assert "(NP (NP birds) (PP" in found[1][1]


def test_a_grammar_that_does_not_sum_to_one_or_a_sentence_without_a_tree_is_refused():
    rules = {r: p for r, p in AMBIGUOUS.items() if r != ("NP", "glasses")}
    with pytest.raises(ValueError, match="sum to 7/8"):
        web.chart_player({"toy": rules}, [("toy", "she sees birds")])
    with pytest.raises(ValueError, match="has 0 parses"):
        web.chart_player({"toy": AMBIGUOUS}, [("toy", "birds she")])


def test_stepping_fills_the_chart_and_the_trees_appear_at_the_end(play):  # noqa: F811
    page = play("chart_player")
    assert page.locator(".cp-trees button").all_inner_texts() == [
        "Tree 1: 67\u202f%",
        "Tree 2: 33\u202f%",
    ]
    page.get_by_role("button", name="Previous").click()
    assert page.locator(".cp-trees button").count() == 0
    assert "14 of 15" in page.locator(".cp-status").inner_text()
    page.get_by_role("button", name="Next", exact=True).press("Enter")
    assert page.locator(".cp-trees button").count() == 2
    page.get_by_role("button", name="Tree 2").click()
    pressed = page.locator(".cp-trees [aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Tree 2: 33\u202f%"]


def test_the_slider_turns_the_order_of_the_trees_round(play):  # noqa: F811
    page = play("chart_player")
    label = page.locator(".cp-picture svg")
    assert "(VP (VP (V sees)" in label.get_attribute("aria-label")
    page.get_by_label("NP → NP PP").fill("50")
    assert "(NP (NP birds) (PP" in label.get_attribute("aria-label")


def test_cells_are_reached_by_arrow_keys_and_say_how_they_were_filled(play):  # noqa: F811
    page = play("chart_player")
    page.get_by_role("button", name="she sees birds with glasses: S").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".cp-name").inner_text() == "sees birds with glasses"
    assert page.locator(".cp-detail li").count() == 2
    page.get_by_label("Sentence").select_option("1")
    assert "One parse" in page.locator(".cp-status").inner_text()
    assert axe_violations(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
