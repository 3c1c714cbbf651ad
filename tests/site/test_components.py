"""Each interactive component played with in a browser, its numbers checked against Python's."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tests.site import component_pages as demo
from tests.site.pages import HTML, PAGES
from tests.site.visit import axe_violations, block_network

from llmbook.generate import keep_top_k, keep_top_p
from llmbook.web import assets
from llmbook.web.quantise import quantise_attention
from llmbook.web.softmax import soft_lookup

NAMES = sorted(demo.components())


@pytest.fixture(scope="session")
def demo_url(serve, tmp_path_factory) -> str:
    """The address of the pages that hold the components."""
    folder = tmp_path_factory.mktemp("components")
    demo.write_pages(folder)
    return serve(folder)


@pytest.fixture
def play(browser, demo_url):
    """Open a component's page; at the end no error was logged and no request left the page."""
    pages = []

    def open_(name: str, *, theme: str = "light", width: int = 1000, ready: bool = True, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(20_000)  # a busy machine
        page = context.new_page()
        page.leaks, page.problems = block_network(page, demo_url), []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
        page.add_init_script(
            "addEventListener('DOMContentLoaded', () => "
            f"document.documentElement.setAttribute('data-theme', '{theme}'))"
        )
        page.goto(f"{demo_url}{name}.html")
        if ready:
            page.wait_for_selector("[data-llmbook-ready=true]")
        pages.append(page)
        return page

    yield open_
    for page in pages:
        assert (page.problems, page.leaks) == ([], [])
        page.context.close()


def number(text: str) -> float:
    """The first number in a text that the page shows; "< 1 %" reads as 1."""
    return float(re.search(r"[\d.]+", text.replace("−", "-").replace("\u2009", ""))[0])


# ---- what every component promises


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_no_violation(play, name, theme):
    page = play(name, theme=theme)
    page.wait_for_timeout(400)  # colours fade in
    assert axe_violations(page) == []
    for button in page.locator(".llmbook-app button:not(:disabled)").all()[:3]:
        button.click()
    page.wait_for_timeout(400)
    assert axe_violations(page) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_phone_shows_all_without_scrolling_sideways(play, name):
    page = play(name, width=390, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = "[...document.querySelectorAll('.llmbook-app *')].filter("
    wide += "(e) => e.getBoundingClientRect().right > 390).length"
    assert page.evaluate(wide) == 0
    small = "[...document.querySelectorAll('.llmbook-app button, .llmbook-app select')].filter("
    small += "(e) => e.offsetWidth && (e.offsetHeight < 24 || e.offsetWidth < 24)"
    small += " && !e.classList.contains('sg-token')).length"
    assert page.evaluate(small) == 0, "a target is too small for a finger"


@pytest.mark.parametrize("name", NAMES)
def test_the_static_picture_stands_alone_without_scripts(play, name):
    page = play(name, ready=False, java_script_enabled=False)
    assert page.locator(".llmbook-static").is_visible()
    assert page.locator(".llmbook-app").count() == 0


@pytest.mark.parametrize("name", NAMES)
def test_print_shows_the_static_picture(play, name):
    page = play(name)
    assert not page.locator(".llmbook-static").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".llmbook-static").is_visible()
    assert not page.locator(".llmbook-app").is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_tab_reaches_every_control_and_the_focus_is_seen(play, name):
    page = play(name)
    wanted = page.evaluate(
        """() => { const all = [...document.querySelectorAll('.llmbook-app *')].filter((e) =>
        e.tabIndex >= 0 && !e.disabled && e.getClientRects().length && e.tagName !== 'svg');
        all.forEach((e, i) => (e.dataset.stop = i)); return all.length; }"""
    )
    reached = set()
    for _ in range(wanted + 3):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            const halo = e.querySelector && e.querySelector('.sd-halo');
            const haloSeen = halo && getComputedStyle(halo).stroke !== 'none';
            const seen = s.outlineStyle !== 'none' || haloSeen;
            return e.dataset.stop && seen ? e.dataset.stop : null; }"""
        )
        reached.add(stop)
    assert len(reached - {None}) == wanted > 0


def test_reduced_motion_stops_all_transitions(play):
    page = play("time_machine", reduced_motion="reduce")
    moving = "[...document.querySelectorAll('.llmbook-app *')].filter("
    moving += "(e) => getComputedStyle(e).transitionDuration !== '0s').length"
    assert page.evaluate(moving) == 0


def test_notebook_outputs_start_once_each_and_again_when_a_cell_runs_again(play):
    page = play("notebook")
    made = len(demo.components()) + 1
    assert page.locator("[data-llmbook-ready=true]").count() == made
    assert page.locator(".llmbook-app").count() == made
    output = demo.components()["quiz"].to_html()
    # As JupyterLab does it: the markup goes in, then each script is made anew.
    page.evaluate(
        """(html) => { const place = document.createElement('div'); place.innerHTML = html;
        document.querySelector('main').append(place);
        for (const old of place.querySelectorAll('script')) {
          const script = document.createElement('script');
          for (const {name, value} of old.attributes) script.setAttribute(name, value);
          script.textContent = old.textContent; old.replaceWith(script); } }""",
        output,
    )
    assert page.locator("[data-llmbook-ready=true]").count() == made + 1
    assert page.locator(".llmbook-app").count() == made + 1
    assert page.locator("style[id^=llmbook-style]").count() == len(demo.components()) + 1


def test_jupyterlab_in_the_dark_gets_dark_components(play):
    page = play("notebook")
    colour = "getComputedStyle(document.querySelector('.llmbook-app')).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.evaluate("document.body.setAttribute('data-jp-theme-light', 'false')")
    assert page.evaluate(colour) == "rgb(20, 24, 31)"


def test_jupyterlabs_shortcuts_leave_a_focused_control_alone(play):
    # "d d" in a component must not delete the cell: Lumino asks the focused element itself.
    page = play("attention_explorer")
    page.keyboard.press("Tab")
    marked = "document.activeElement.hasAttribute('data-lm-suppress-shortcuts')"
    assert page.evaluate(marked)


def test_labels_can_be_translated_on_the_page(play):
    page = play("notebook")
    page.evaluate(
        """() => { const copy = document.querySelector('[data-component=quiz]').cloneNode(true);
        copy.querySelector('.llmbook-app').remove(); delete copy.dataset.llmbookReady;
        copy.dataset.labels = JSON.stringify({right: '对。', wrong: '不对。'}); copy.id = 'zh';
        document.querySelector('main').append(copy); llmbook.start(); }"""
    )
    page.locator("#zh .qz-choice").first.click()
    assert "不对。" in page.locator("#zh .qz-why").first.inner_text()


def test_damaged_data_leave_the_static_picture_and_one_line_in_the_console(play):
    page = play("notebook")
    page.evaluate(
        """() => { const copy = document.querySelector('[data-component=quiz]').cloneNode(true);
        copy.querySelector('.llmbook-app').remove(); delete copy.dataset.llmbookReady;
        copy.classList.remove('llmbook-live'); copy.id = 'bad';
        copy.querySelector('script').textContent = '{"questions": 1';
        document.querySelector('main').append(copy); llmbook.start(); }"""
    )
    assert page.locator("#bad .llmbook-static").is_visible()
    assert len(page.problems) == 1
    page.problems.clear()


# ---- the attention explorer


def shares(page) -> dict[int, float]:
    """The percentages that the tokens of the sentence show, by position."""
    shown = enumerate(page.locator(".ax-percent").all_inner_texts())
    return {i: number(text) for i, text in shown if re.search(r"\d", text)}


def expected(column: np.ndarray) -> dict[int, float]:
    """What they should show: whole percents, 1 for anything smaller that is not zero."""
    return {i: max(1, round(100 * w / 255)) for i, w in enumerate(column.tolist()) if w}


def test_the_explorer_shows_the_weights_that_python_gave(play):
    page, maps = play("attention_explorer"), quantise_attention(demo.weights())
    assert shares(page) == pytest.approx(expected(maps[1, 2, 8]), abs=1)
    page.locator(".ax-chip").nth(4).hover()
    assert shares(page) == pytest.approx(expected(maps[1, 2, 4]), abs=1)
    page.locator(".ax-title").first.hover()
    assert shares(page) == pytest.approx(expected(maps[1, 2, 8]), abs=1), "hovering only looks"
    page.locator(".ax-chip").nth(4).click()
    page.locator(".ax-title").first.hover()
    assert page.locator(".ax-chip[aria-pressed=true]").inner_text().startswith("cross")
    page.get_by_role("button", name="Who looks at it").click()
    assert shares(page) == pytest.approx(expected(maps[1, 2, :, 4]), abs=1)
    assert "is looked at by" in page.locator(".ax-readout").inner_text()


def test_the_explorer_obeys_the_keyboard(play):
    page, maps = play("attention_explorer"), quantise_attention(demo.weights())
    page.locator(".ax-chip").nth(8).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert shares(page) == pytest.approx(expected(maps[1, 2, 6]), abs=1)
    best = demo.TOKENS[int(maps[1, 2, 6].argmax())].strip()
    assert best in page.locator(".ax-readout").inner_text()
    page.locator(".ax-thumb[aria-pressed=true]").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert shares(page) == pytest.approx(expected(maps[0, 1, 6]), abs=1)
    assert page.get_by_label("Head", exact=True).input_value() == "1"
    page.get_by_label("Layer", exact=True).select_option("1")
    assert page.locator(".ax-thumb[aria-pressed=true]").get_attribute("title") == "Layer 1, head 1"


def test_the_map_answers_to_the_mouse_and_to_a_finger(play):
    page = play("attention_explorer")
    cell = page.locator(".ax-map .lb-cell").nth(5 * 6 // 2 + 2)  # row 5, column 2
    cell.hover()
    assert page.locator(".ax-on").inner_text().startswith("the")
    page = play("attention_explorer", width=390, has_touch=True, is_mobile=True)
    page.locator(".ax-chip").nth(3).tap()
    assert page.locator(".ax-on").inner_text().startswith("not")
    assert page.locator(".ax-arcs path").count() > 0


# ---- the soft dictionary


def dictionary_shows(page, query, beta):
    """The page's weights and mixed value are those of Python for this query and sharpness."""
    _, weights, mixed = soft_lookup(demo.KEYS, demo.VALUES, np.array(query), beta)
    shown = [number(text) for text in page.locator(".sd-weight").all_inner_texts()]
    assert shown == pytest.approx([max(1, round(100 * w)) for w in weights], abs=1)
    text = page.locator(".sd-big").first.inner_text().replace("−", "-")
    assert float(re.match(r"-?[\d.]+", text)[0]) == pytest.approx(mixed, abs=0.06)


def test_the_query_moves_by_arrow_keys_and_the_value_with_it(play):
    page = play("softmax_dictionary")
    dictionary_shows(page, (0.6, 0.4), 3.0)
    page.get_by_role("slider", name="Query").focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    step = 0.05 * 1.25  # of the plane's reach
    dictionary_shows(page, (0.6 - step, 0.4 + 2 * step), 3.0)
    page.get_by_label("Sharpness").fill("0")
    assert [number(t) for t in page.locator(".sd-weight").all_inner_texts()] == [25] * 4
    page.get_by_label("Sharpness").fill("20")
    dictionary_shows(page, (0.6 - step, 0.4 + 2 * step), 20.0)


def test_the_query_can_be_dragged(play):
    page = play("softmax_dictionary")
    box = page.locator(".sd-plane svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    dictionary_shows(page, (-0.625, 0.0), 3.0)
    assert "Oslo" in page.locator("[role=status]").inner_text()


# ---- temperature


def next_tokens(temperature: float, k: int | None = None, p: float | None = None) -> torch.Tensor:
    """The probabilities as `llmbook.generate` forms them, largest first."""
    logits = torch.tensor(demo.LOGITS)[None] / temperature
    logits = logits if k is None else keep_top_k(logits, k)
    logits = logits if p is None else keep_top_p(logits, p)
    return logits.softmax(-1)[0].sort(descending=True).values


def percents(page) -> list[float]:
    """The twelve shown tokens' percentages."""
    texts = page.locator(".lb-bar-text").all_inner_texts()[:12]
    return [number(text) for text in texts]


@pytest.mark.parametrize(
    ("temperature", "k", "p"),
    [(1.0, None, None), (0.5, None, None), (1.7, 8, None), (1.0, None, 0.6), (0.8, 9, 0.75)],
)
def test_the_bars_are_the_distribution_that_generate_draws_from(play, temperature, k, p):
    page, exact = play("temperature_explorer"), next_tokens(temperature, k, p)
    page.get_by_label("Temperature").fill(str(temperature))
    page.get_by_label("Top-k").fill(str(k or demo.K + 1))
    page.get_by_label("Top-p").fill(str(p or 1))
    assert percents(page) == pytest.approx((100 * exact[:12]).tolist(), abs=0.55)
    shown = page.locator(".te-figure b").all_inner_texts()
    positive = exact[exact > 0]
    bits = -(positive * positive.log2()).sum().item()
    assert number(shown[0]) == pytest.approx(bits, abs=0.02)
    assert number(shown[2]) == pytest.approx(len(positive), abs=1)


def test_a_temperature_of_zero_is_greedy(play):
    page = play("temperature_explorer")
    page.get_by_label("Temperature").fill("0")
    assert percents(page) == [100, *[0] * 11]
    page.get_by_role("button", name="Draw 100").click()
    assert "100×" in page.locator(".lb-bar-text").first.inner_text()


def test_draws_are_counted_follow_the_distribution_and_repeat_after_a_reset(play):
    page = play("temperature_explorer")

    def tally():
        texts = page.locator(".lb-bar-text").all_inner_texts()
        return [int(re.search(r"(\d+)×", text)[1]) for text in texts]

    page.get_by_role("button", name="Draw a token").click()
    assert page.locator(".te-status").inner_text().startswith("Drawn: ")
    assert sum(tally()) == 1
    page.get_by_role("button", name="Reset").click()
    for _ in range(5):
        page.get_by_role("button", name="Draw 100").click()
    first, exact = tally(), next_tokens(1.0)
    assert sum(first) == 500
    spread = (500 * exact[:12] * (1 - exact[:12])).sqrt()
    assert (abs(torch.tensor(first[:12]) - 500 * exact[:12]) < 4 * spread + 1).all()
    page.get_by_role("button", name="Reset").click()
    for _ in range(5):
        page.get_by_role("button", name="Draw 100").click()
    assert tally() == first


def test_another_prompt_brings_its_own_tokens(play):
    page = play("temperature_explorer")
    page.get_by_label("Prompt").select_option(label="Once")
    assert page.locator(".te-prompt").inner_text().startswith("Once")
    assert page.locator(".lb-bar-label").first.inner_text().startswith("␣u")


# ---- step by step


def test_a_generation_is_walked_by_buttons_slider_and_clicks(play):
    page = play("step_generator")
    assert page.locator(".sg-text").inner_text() == "The world is a beautiful place"
    page.get_by_role("button", name="Next").click()
    assert page.locator(".sg-text").inner_text() == "The world is a beautiful place in"
    assert page.locator("li.lb-chosen").inner_text().split() == ["␣in", "30", "%"]
    page.get_by_label("Step", exact=True).fill("3")
    status = page.locator(".sg-status").inner_text()
    assert "not among the eight most probable" in status
    assert "1.0" in status
    assert page.get_by_role("button", name="Next").is_disabled()
    page.locator(".sg-token").first.click()
    assert page.locator(".sg-status").inner_text().startswith("Step 1 of 3")


def test_a_generation_plays_to_its_end_and_stops(play):
    page = play("step_generator")
    page.get_by_role("button", name="Play").click()
    assert page.get_by_role("button", name="Pause").is_visible()
    page.wait_for_function("document.querySelector('.sg-status').textContent.includes('complete')")
    page.get_by_role("button", name="Play").wait_for(timeout=5000)


# ---- the time machine


def test_the_time_machine_slides_through_everything_at_once(play):
    page, records = play("time_machine"), demo.records()
    slider = page.get_by_label("Training step")
    slider.focus()
    for i in (3, 2, 1, 0):
        status = page.locator(".tm-status").inner_text()
        assert f"training loss {records[i]['train_loss']:.2f}" in status
        assert f"held-out loss {records[i]['val_loss']:.2f}" in status
        seen = page.locator(".tm-sample:visible").all_inner_texts()
        assert seen[0] == f"Once sample at step {demo.RECORDED[i]}"
        assert len(seen) == 2
        page.keyboard.press("ArrowLeft")
    assert page.get_by_role("button", name="Earlier").is_disabled()


def test_attention_and_words_of_the_time_machine_are_the_checkpoints_own(play):
    page, records = play("time_machine", reduced_motion="reduce"), demo.records()
    clouds = np.array([record["embedding"] for record in records])
    low, high = clouds.min((0, 1)), clouds.max((0, 1))
    for i in (0, 3):
        page.get_by_label("Training step").fill(str(i))
        width, height = page.evaluate(
            "(() => { const s = document.querySelector('.tm-field svg');"
            " return [s.width.baseVal.value, s.height.baseVal.value]; })()"
        )
        for j, dot in enumerate(page.locator(".tm-dot").all()):
            x, y = map(float, re.findall(r"[\d.]+", dot.get_attribute("style"))[:2])
            u, v = (clouds[i, j] - low) / (high - low)
            assert (x, y) == pytest.approx(
                (14 + u * (width - 28), 14 + (1 - v) * (height - 28)), abs=0.6
            )
        fills = page.locator(".lb-cell").evaluate_all("(all) => all.map((e) => e.style.fill)")
        assert len(fills) == demo.T * (demo.T + 1) // 2
        byte = quantise_attention(records[i]["attention"][None])[0, 0][np.tril_indices(demo.T)]
        colour = page.evaluate(
            "(ws) => ws.map((w) => llmbook.sequential(w / 255, false).fill)", byte.tolist()
        )
        assert [f.replace(" ", "") for f in fills] == [c.replace(" ", "") for c in colour]


def test_the_time_machine_plays_and_a_group_can_be_picked_out(play):
    page = play("time_machine")
    page.get_by_role("button", name="numbers").click()
    assert page.locator(".tm-dim").count() == 4
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.tm-status').textContent.includes('Step 50,')")
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play").is_visible()


# ---- the quiz


def test_every_answer_is_explained_at_once_and_first_tries_are_counted(play):
    page = play("quiz")
    page.get_by_role("button", name="The past").click()
    assert page.locator(".qz-why").first.inner_text() == (
        "Not quite. A model that saw no past could not predict."
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(".qz-why").first.inner_text() == "Right. Nothing looks to its right."
    page.locator(".qz-item").nth(1).locator("button").first.click()
    assert page.locator(".qz-score").inner_text().startswith("1 of 2")
    page.get_by_role("button", name="Start again").click()
    assert page.locator(".qz-right, .qz-wrong").count() == 0
    assert page.locator("[role=status]").count() == 3


# ---- the book's own pages


@pytest.mark.parametrize("path", PAGES)
def test_every_component_of_a_page_of_the_book_works(open_page, html, path):
    text = (HTML / path).read_text(encoding="utf-8")
    names = assets.component_names(text)
    if not names:
        assert "_static/llmbook/core.js" not in text
        return
    assert "data-llmbook-inline" not in text
    page = open_page(path, width=390)
    count = page.locator("[data-component]").count()
    page.wait_for_function(
        "(n) => document.querySelectorAll('[data-llmbook-ready=true]').length === n", arg=count
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
