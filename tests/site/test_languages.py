"""The site in two languages: the switch between them, what is marked English, search in Chinese."""

from __future__ import annotations

import re

import pytest
from tests.site.pages import ALL_PAGES, PAGES, STATUS, TRANSLATED, TRANSLATION, links_of
from tests.site.visit import SETTLED

WELCOME, CHAPTER = f"{TRANSLATION}/book/welcome.html", f"{TRANSLATION}/notebooks/07_attention.html"
SEARCH = f"{TRANSLATION}/search.html"
PARTIAL = [p for p in (f"{TRANSLATION}/{page}" for page in PAGES) if p not in TRANSLATED]
HAN = re.compile(r"[\u4e00-\u9fff]")
# What a reader meets of the frame around the text: texts, names for screen readers, tooltips.
FRAME = """() => {
  const article = (e) => e.closest(
    "article, #search-results, #jb-print-docs-body, pre, code, .book-language, kbd, "
    + ".prev-next-title");
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    if (article(e) || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt", "data-bs-title"])
      if (e.getAttribute(name)) found.push(e.getAttribute(name));
    for (const part of e.childNodes)
      if (part.nodeType === 3 && part.textContent.trim()) found.push(part.textContent.trim());
  }
  return [...new Set(found)];
}"""
# Names, keys and file endings; the pages that are not translated keep their English titles.
SAME_IN_CHINESE = {"Transformer", "Ctrl", ".ipynb", ".md", ".pdf", "© Copyright 2026."}


def article_of(html, path: str) -> str:
    """A page's text; without the tables that are made of records, which are in English."""
    article = (html / path).read_text(encoding="utf-8").split("<article", 1)[1]
    article = article.split("</article>")[0]
    if "hardware_and_timings" in path:
        article = re.sub(r"<table.*?</table>", "", article, flags=re.S)
    return article


def text_of_results(page) -> list[str]:
    page.wait_for_function("/\\d/.test(document.querySelector('p.search-summary')?.innerText)")
    page.wait_for_selector("#search-results p.context")
    return page.locator("#search-results li").all_inner_texts()


@pytest.mark.parametrize("path", ALL_PAGES)
def test_a_page_says_its_language_and_leads_to_itself_in_the_other(html, path):
    is_chinese = path.startswith(TRANSLATION)
    text = (html / path).read_text(encoding="utf-8")
    assert f'<html lang="{"zh-CN" if is_chinese else "en"}"' in text
    links = re.findall(r'<link rel="alternate" hreflang="([\w-]+)" href="([^"]+)"', text)
    assert [tag for tag, _ in links] == ["en", "x-default", "zh-CN"]
    (switch,) = re.findall(r'<a class="[^"]*book-language"[^>]*href="([^"]+)"', text)
    target = ((html / path).parent / switch).resolve()
    name = path.removeprefix(f"{TRANSLATION}/") if path != STATUS else PAGES[0]
    assert target == (html / (name if is_chinese else f"{TRANSLATION}/{name}")).resolve()
    assert target.exists()


def test_the_switch_keeps_the_section_that_is_being_read(browser, html):
    page = browser.new_page()
    page.goto((html / "notebooks/07_attention.html").as_uri())
    page.evaluate(SETTLED)
    page.evaluate(
        "document.querySelectorAll('article h2')[3].scrollIntoView({behavior: 'instant'})"
    )
    section = page.evaluate("document.querySelectorAll('article h2')[3].parentElement.id")
    box = page.locator("a.book-language").bounding_box()  # a locator's click would scroll first
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(f"**/{CHAPTER}#{section}")
    assert page.locator(f"section[id='{section}'] > h2").count() == 1
    page.close()


def test_the_switch_is_reached_by_keyboard_and_says_where_it_leads(open_page):
    page = open_page(WELCOME)
    page.locator("a.book-language").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert (
        page.locator("a.book-language").text_content().strip() == "English (this page in English)"
    )
    assert page.locator("a.book-language").get_attribute("lang") == "en"
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/welcome.html")
    page.wait_for_load_state()
    switch = page.locator("a.book-language")
    assert (switch.get_attribute("lang"), switch.inner_text()[:2]) == ("zh-CN", "中文")


@pytest.mark.parametrize("path", TRANSLATED)
def test_a_complete_page_has_no_note_and_no_english_passage(html, path):
    article = article_of(html, path)
    assert "book-untranslated" not in article
    english = re.findall(r'<(?!div[^>]*cell_input)(\w+)[^>]* lang="en"[^>]*>(.{0,60})', article)
    assert english == []


@pytest.mark.parametrize("path", PARTIAL)
def test_a_page_that_is_not_complete_says_so_and_marks_what_is_english(html, path):
    article = article_of(html, path)
    note = re.search(r'<div class="book-untranslated" role="note"><p>(.*?)</p></div>', article)
    if note is None:  # complete, and not promised to be
        assert '<p lang="en"' not in article
        return
    assert HAN.search(note[1])
    assert STATUS.split("/")[-1] in note[1]
    assert re.search(r'<(p|h\d|dt|span)[^>]* lang="en"', article)


def test_the_status_page_counts_every_page(html):
    links = links_of(html / STATUS).linked
    for path in PAGES:
        assert f"../{path}" in links
    text = (html / STATUS).read_text(encoding="utf-8")
    assert len(re.findall(r"<td>\d+ / \d+</td>", text)) >= len(PAGES)


@pytest.mark.parametrize("path", [WELCOME, CHAPTER, SEARCH])
def test_the_frame_of_a_page_speaks_chinese(open_page, path):
    page = open_page(path)
    page.wait_for_function("document.querySelector('article, #search-results')")
    words = [word for word in page.evaluate(FRAME) if re.search(r"[A-Za-z]{2}", word)]
    english = [word for word in words if not HAN.search(word) and word not in SAME_IN_CHINESE]
    titles = {re.sub(r"^\d+\. ", "", title) for title in english}
    assert titles <= SAME_IN_CHINESE | {"Hardware and timings"}


@pytest.mark.parametrize(
    ("path", "words"),
    [("notebooks/07_attention.html", "Show code cell source"), (CHAPTER, "显示代码")],
)
def test_a_folded_cell_is_named_by_what_its_box_shows(open_page, path, words):
    """MyST-NB names every such box in English, whatever its text says."""
    folded = open_page(path).locator("article details.hide > summary")
    assert folded.count() > 1
    for box in folded.all():
        assert box.get_attribute("aria-label") is None
        assert box.inner_text().strip() == words


def test_nothing_is_shipped_twice(html):
    own = {p.relative_to(html / TRANSLATION).parts[0] for p in (html / TRANSLATION).rglob("*")}
    assert {"_images", "_sources"} & own == set()
    static = [p for p in (html / TRANSLATION / "_static").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in static) < 400_000


@pytest.mark.parametrize(
    ("query", "chapter"),
    [
        ("注意力机制", "glossary"),
        ("词元", "03_tokenization"),
        ("缩放点积注意力", "glossary"),
        ("平移不变性", "glossary"),
        ("字典查找", "07_attention"),
        ("键", "07_attention"),
        ("softmax 的导数", "07_attention"),
    ],
)
def test_chinese_words_inside_sentences_are_found_without_a_server(browser, html, query, chapter):
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{(html / SEARCH).as_uri()}?q={query}")
    results = text_of_results(page)
    links = [link.get_attribute("href") for link in page.locator("#search-results li a").all()]
    assert any(chapter in (link or "") for link in links), links
    first = query.split()[0]
    assert any(first in text for text in results)
    assert errors == []
    page.close()


def test_a_query_is_cut_as_the_index_was(open_page):
    from llmbook_site.search import cut, pairs

    page = open_page(f"{SEARCH}?q=x")
    for text in ("缩放点积注意力", "GPT-2 的词表", "n 元语法 model_1", "键"):
        terms = page.evaluate("text => splitQuery(text)", text)
        assert set(terms) <= set(cut(text))
    assert page.evaluate("splitQuery('注意力')") == pairs("注意力") == ["注意", "意力"]


def test_summaries_show_from_a_server_too(open_page):
    page = open_page(f"{SEARCH}?q=注意力")
    assert any("注意力" in text for text in text_of_results(page))
    assert page.leaks == []


def test_english_summaries_show_without_a_server(browser, html):
    page = browser.new_page()
    page.goto((html / "search.html").as_uri() + "?q=perplexity")
    assert any("perplexity" in text.lower() for text in text_of_results(page))
    # A page with several results is loaded once and shown for each.
    page.wait_for_function(
        "[...document.querySelectorAll('#search-results li')]"
        ".every(item => item.querySelector('p.context, span'))"
    )
    page.close()
