"""Draw which chapter leans on which: the directive {chapter-map} on the page of each part.

Its argument names chapters ("00-06"). The map shows those that the book holds and what they lean
on, in reading order, from `book/chapter_map.yml` and the table of contents.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import _
from sphinx.util.docutils import SphinxDirective

from .numbering import CHAPTER

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "book" / "chapter_map.yml"
KINDS = ("needs", "helps")
WIDTH, HEIGHT, STEP, MARGIN, LEFT, TIP = 250, 52, 68, 8, 96, 7

Leanings = dict[str, dict[str, list[str]]]


def read_leanings() -> Leanings:
    """What each chapter leans on: number -> {"needs": numbers, "helps": numbers}."""
    leanings: Leanings = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return leanings


def chapters_of_book() -> dict[str, tuple[str, str]]:
    """The chapters in the table of contents: number -> (page, title)."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    entries = [entry for part in parts for entry in part["chapters"]]
    found = [(CHAPTER.match(entry["file"]), entry) for entry in entries]
    return {match[1]: (entry["file"], _plain(entry["title"])) for match, entry in found if match}


def _plain(title: str) -> str:
    """A chapter's title in the language of the site, without its number."""
    return re.sub(r"^\d+\.\s*", "", _(title))


def draw_arc(upper: int, lower: int, kind: str) -> str:
    """An arc from one row down to another: what is needed on the right, what helps on the left."""
    side, x = (1, LEFT + WIDTH) if kind == "needs" else (-1, LEFT)
    y0, y1 = (MARGIN + row * STEP + HEIGHT / 2 for row in (upper, lower))
    y0, y1 = y0 + HEIGHT / 5, y1 - HEIGHT / 5
    bulge = min(30 + 14 * (lower - upper), 120)  # three quarters of it must fit beside the boxes
    reach = x + side * bulge
    curve = f"M{x:g} {y0:g} C{reach:g} {y0:g} {reach:g} {y1:g} {x + side * TIP:g} {y1:g}"
    return f'<path class="{kind}" d="{curve}" marker-end="url(#chapter-map-tip)"/>'


def draw_box(number: str, title: str, address: str, row: int, own: bool) -> str:
    """A box with number and title that leads to the chapter."""
    x, y = LEFT, MARGIN + row * STEP
    style = "own" if own else "other"
    head, text = _("Chapter {}").format(int(number)), escape(title)
    return (
        f'<a class="{style}" href="{escape(address)}">'
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text class="number" x="{x + WIDTH / 2:g}" y="{y + 20:g}">{head}</text>'
        f'<text x="{x + WIDTH / 2:g}" y="{y + 40:g}">{text}</text></a>'
    )


class ChapterMap(SphinxDirective):
    """{chapter-map} 00-06: the map of a part."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        first, last = self.arguments[0].split("-")
        for source in (SOURCE, ROOT / "_toc.yml", Path(__file__)):
            self.env.note_dependency(str(source))
        leanings, book = read_leanings(), chapters_of_book()
        own = [number for number in book if first <= number <= last]
        on = {o for n in own for kind in KINDS for o in leanings[n].get(kind, []) if o in book}
        chapters = sorted({*own, *on})
        figure = nodes.raw("", self._draw(chapters, own, leanings, book), format="html")
        return [figure]

    def _draw(
        self,
        chapters: list[str],
        own: list[str],
        leanings: Leanings,
        book: dict[str, tuple[str, str]],
    ) -> str:
        row = {number: i for i, number in enumerate(chapters)}
        arcs = [
            draw_arc(row[other], row[number], kind)
            for number in own
            for kind in KINDS
            for other in leanings[number].get(kind, [])
            if other in row
        ]
        boxes = [
            draw_box(n, book[n][1], f"../{book[n][0]}.html", row[n], n in own) for n in chapters
        ]
        width, height = 2 * LEFT + WIDTH, 2 * MARGIN + len(chapters) * STEP - (STEP - HEIGHT)
        caption = _(
            "Solid, right: read first. Dashed, left: helps. Choose a box to open the chapter."
        )
        label = _("Map of the chapters")
        return (
            f'<figure class="chapter-map"><svg viewBox="0 0 {width:g} {height:g}" role="group" '
            f'style="max-width:{width:g}px" aria-label="{label}">'
            '<defs><marker id="chapter-map-tip" viewBox="0 0 8 8" refX="2" refY="4" '
            'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
            f"</defs>{''.join(arcs)}{''.join(boxes)}</svg>"
            f"<figcaption>{caption}</figcaption>{self._in_words(own, leanings, book)}</figure>"
        )

    def _in_words(
        self, own: list[str], leanings: Leanings, book: dict[str, tuple[str, str]]
    ) -> str:
        """The same map as a list, for who cannot see it."""
        items = []
        for number in own:
            parts = []
            for kind, words in zip(KINDS, (_("read first: {}"), _("helps: {}")), strict=True):
                others = [str(int(o)) for o in leanings[number].get(kind, []) if o in book]
                if others:
                    parts.append(words.format(_(", ").join(others)))
            leans = _("; ").join(parts) or _("leans on nothing before it")
            line = _("{} {}: {}.").format(int(number), escape(book[number][1]), leans)
            items.append(f"<li>{line}</li>")
        summary = _("The map in words")
        return f"<details><summary>{summary}</summary><ul>{''.join(items)}</ul></details>"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("chapter-map", ChapterMap)
    return {}
