"""Search in Chinese: the index and the query are cut by one rule.

Chinese is written without spaces, and a list of words that cuts one text well cuts another
differently. So every run of Chinese characters is cut into its pairs of neighbours, in the index
as in the query: 注意力 becomes 注意 and 意力. A page matches that has all pairs of the query.
The index holds the single characters too, for a query of one.

A page opened from a folder cannot fetch another one for a summary. So each page's text lies in
`_texts/` as a script as well, which the search page loads for the results that it shows.
"""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
RUN = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
SPLIT_QUERY = rf"""
// A run of Chinese characters is cut into its pairs of neighbours, as the index was.
var splitQuery = (query) =>
  (query.match(/[{HAN}]+|(?:(?![{HAN}])[\p{{L}}\p{{N}}_])+/gu) || []).flatMap((run) =>
    /[{HAN}]/.test(run) && run.length > 1
      ? Array.from({{length: run.length - 1}}, (_, i) => run.slice(i, i + 2)) : [run]);
"""


def pairs(run: str) -> list[str]:
    """The pairs of neighbours in a run of characters."""
    return [run[i : i + 2] for i in range(len(run) - 1)]


def cut(text: str) -> list[str]:
    """The terms of a text for the index: words, Chinese characters, and pairs of them."""
    terms = []
    for run in RUN.findall(text):
        terms += [*run, *pairs(run)] if re.match(f"[{HAN}]", run) else [run]
    return terms


class SearchChinese(SearchEnglish):
    """Chinese with English words in it."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = SPLIT_QUERY

    def split(self, input: str) -> list[str]:
        return cut(input)


class TextOfPage(HTMLParser):
    """The text of a page's body, with the sections that search results lead to."""

    SILENT = ("script", "style", "svg")

    def __init__(self, body: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.parts.append(f'<section id="{escape(dict(attrs).get("id") or "")}">')
        self.silent += tag in self.SILENT

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self.parts.append("</section>")
        self.silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(escape(re.sub(r"\s+", " ", data), quote=False))


def write_text(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write a page's text beside it; load what the search page needs."""
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")
    if doctree is None or app.builder.format != "html":
        return
    path = Path(app.outdir) / "_texts" / f"{page}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    words = (json.dumps(text, ensure_ascii=False) for text in (page, _text(context["body"])))
    path.write_text(f"bookText({', '.join(words)});\n", encoding="utf-8")


def _text(body: str) -> str:
    without_signs = re.sub(r'<a class="headerlink".*?</a>', "", body)
    return re.sub(r" {2,}", " ", "".join(TextOfPage(without_signs).parts))


def setup(app: Sphinx) -> None:
    app.add_search_language(SearchChinese)
    app.connect("html-page-context", write_text)
