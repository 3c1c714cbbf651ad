"""Slides and PDF, made from the chapters and the built pages, work without a network."""

from __future__ import annotations

import unicodedata

import pytest
from pypdf import PdfReader
from tests.site.visit import block_network

import make_pdf
import make_slides
from browser import ADVICE, find_browser

CHAPTERS = sorted((make_slides.ROOT / "notebooks").glob("*.ipynb"))
# Walks through the whole deck; names the slides that are wider than the screen.
TOO_WIDE = """() => Reveal.getSlides().filter((slide) => {
  const at = Reveal.getIndices(slide);
  Reveal.slide(at.h, at.v);
  return slide.scrollWidth > slide.clientWidth + 2;
}).map((slide) => slide.innerText.slice(0, 60))"""


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def deck(request, tmp_path, monkeypatch):
    """A chapter's deck, in a folder of its own, and its number of slides."""
    monkeypatch.setattr(make_slides, "OUT", tmp_path)
    make_slides.copy_parts()
    return make_slides.make_deck(request.param)


def test_a_deck_opens_moves_and_asks_no_other_host(deck, browser, serve):
    path, slides = deck
    base = serve(path.parent)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    leaks = block_network(page, base)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.goto(base + path.name)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") == slides
    page.wait_for_function("document.querySelectorAll('mjx-container').length > 0")
    assert page.locator("mjx-merror").count() == 0
    for _ in range(3):
        page.keyboard.press("Space")
    assert page.evaluate("Reveal.getSlidePastCount() + Reveal.getIndices().h") > 0
    assert page.evaluate(TOO_WIDE) == []
    assert leaks == []
    assert errors == []
    page.close()


@pytest.mark.parametrize(
    ("language", "part", "title", "words"),
    [
        ("en", "Start here", "Language Models", "How to use this book"),
        ("zh_CN", "从这里开始", "语言模型", "如何使用本书"),
    ],
)
def test_pages_print_and_their_links_lead_inside_the_document(
    html, tmp_path, language, part, title, words
):
    chromium = find_browser()
    if chromium is None:
        pytest.skip(ADVICE)
    site = make_pdf.output("html", language)
    assert make_pdf.words_of_contents(site / "book/welcome.html")["Start here"] == part
    printed = []
    for of, name in [("", "book/welcome"), (part, "book/how_to_use")]:
        pdf = tmp_path / f"{len(printed)}.pdf"
        make_pdf.print_page(chromium, site / f"{name}.html", pdf, tmp_path / "profile")
        printed.append((of, site / f"{name}.html", pdf))
    out = tmp_path / "book.pdf"
    count = make_pdf.merge(printed, out)
    reader = PdfReader(out)
    assert len(reader.pages) == count >= 2
    text = "".join(page.extract_text() for page in reader.pages)
    assert words in unicodedata.normalize("NFKC", text)  # a font may name 用 by its radical
    assert reader.metadata.title.startswith(title)
    actions = [
        annotation.get_object().get("/A", {})
        for page in reader.pages
        for annotation in page.get("/Annots") or []
    ]
    assert any(action.get("/S") == "/GoTo" for action in actions)
    assert part in [item.title for item in reader.outline if not isinstance(item, list)]
