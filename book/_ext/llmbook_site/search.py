"""Search in Chinese: the index and the query are cut by one rule.

Chinese is written without spaces, and a list of words that cuts one text well cuts another
differently. So every run of Chinese characters is cut into its pairs of neighbours, in the index
as in the query: 注意力 becomes 注意 and 意力. A page matches that has all pairs of the query.
The index holds the single characters too, for a query of one.
"""

from __future__ import annotations

import re

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


def setup(app: Sphinx) -> None:
    app.add_search_language(SearchChinese)
