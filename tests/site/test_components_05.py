"""The map of words, flown through in a browser."""

from __future__ import annotations

from tests.site.test_components import demo_url, play  # noqa: F401


def names(page) -> list[str]:
    return page.locator(".wm-hop").all_inner_texts()


def places(page) -> list[tuple[str, str]]:
    dots = page.locator(".wm-dot").all()
    return sorted((d.get_attribute("data-word"), d.get_attribute("cx")) for d in dots)


def test_a_word_is_searched_and_its_neighbours_lead_on(play):  # noqa: F811
    page = play("word_map")
    assert page.locator(".wm-title").inner_text() == "Nearest to w2, by B"
    page.get_by_label("Word", exact=True).fill(" W7 ")
    page.keyboard.press("Enter")
    assert page.locator(".wm-title").inner_text().startswith("Nearest to w7")
    near = names(page)
    assert len(near) == 8
    assert "w7" not in near
    page.locator(".wm-hop").first.click()
    assert page.locator(".wm-title").inner_text().startswith(f"Nearest to {near[0]},")
    page.get_by_label("Word", exact=True).fill("elsewhere")
    page.get_by_role("button", name="Find").click()
    assert "not among the 11 words" in page.locator(".wm-status").inner_text()


def test_another_model_has_other_neighbours(play):  # noqa: F811
    page = play("word_map")
    before = names(page)
    page.get_by_role("button", name="A", exact=True).click()
    assert page.locator(".wm-title").inner_text().endswith("by A")
    assert names(page) != before


def test_the_keyboard_zooms_moves_and_comes_home(play):  # noqa: F811
    page = play("word_map", width=390)
    start = places(page)
    page.locator(".wm-map").focus()
    page.keyboard.press("ArrowRight")
    assert places(page) == start, "the whole map has nowhere to go"
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed = places(page)
    assert zoomed != start
    page.keyboard.press("ArrowRight")
    assert places(page) != zoomed
    page.keyboard.press("Home")
    assert places(page) == start
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_mouse_drags_the_map_and_chooses_a_word(play):  # noqa: F811
    page = play("word_map")
    page.get_by_role("button", name="Zoom in").click()
    before = places(page)
    box = page.locator(".wm-map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 60, middle[1] + 40, steps=4)
    page.mouse.up()
    assert places(page) != before
    page.get_by_role("button", name="Whole map").click()
    other = page.locator(".wm-name:not(.wm-chosen)").first
    word = other.text_content()
    other.click()
    assert page.locator(".wm-title").inner_text().startswith(f"Nearest to {word},")


def test_arrows_are_drawn_for_a_relation(play):  # noqa: F811
    page = play("word_map", theme="dark")
    assert page.locator(".wm-arrow").count() == 0
    page.get_by_label("Arrows").select_option("1")
    assert page.locator(".wm-arrow").count() == 2
    page.get_by_label("Arrows").select_option("0")
    assert page.locator(".wm-arrow").count() == 0
