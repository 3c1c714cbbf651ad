"""The page of a translated site that says how far the translation has come, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from sphinx.application import Sphinx
from sphinx.locale import _

from .languages import is_translation
from .numbering import CHAPTER
from .translated import STATUS_PAGE, page_progress

Row = tuple[str, Any, Any]  # cell of the page, progress of its text, progress of its outputs


def pages_in_order(app: Sphinx) -> list[str]:
    """The pages of the book in reading order."""
    site_map = app.env.external_site_map  # type: ignore[attr-defined]
    return [name for name in site_map if name in app.env.found_docs]


def rows(app: Sphinx) -> Iterator[Row]:
    """A row for every page, then what belongs to no page."""
    language = app.config.language
    up = "../" * STATUS_PAGE.count("/")
    for page in pages_in_order(app):
        chapter = CHAPTER.match(page)
        number = f"{int(chapter[1])}. " if chapter else ""
        title = escape(number + app.env.titles[page].astext())
        outputs = page_progress(language, f"llmbook/chapter_{chapter[1]}") if chapter else None
        yield f'<a href="{up}{page}.html">{title}</a>', page_progress(language, page), outputs
    yield _("The site's own words"), page_progress(language, "sphinx"), None
    yield _("Interactive parts"), None, page_progress(language, "llmbook/components")
    yield _("Grader"), None, page_progress(language, "llmbook/grader")


def share(counts: Any) -> str:
    """Three cells: done of all, stale, missing; a dash for what a page does not have."""
    if counts is None or not counts.total:
        return "<td>–</td>" * 3
    return (
        f"<td>{counts.done} / {counts.total}</td><td>{counts.stale}</td><td>{counts.missing}</td>"
    )


def body(app: Sphinx) -> str:
    """The page's text."""
    names = [_("translated"), _("changed since"), _("missing")]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names * 2)
    lines = [
        f'<tr><th scope="row">{cell}</th>{share(text)}{share(outputs)}</tr>'
        for cell, text, outputs in rows(app)
    ]
    intro = _(
        "Counted in passages, when this site was built, from the book's catalogues. A passage "
        "whose English has changed since it was translated, or that is not translated, is shown "
        "in English and marked as such."
    )
    page, text, outputs = _("Page"), _("Text"), _("Outputs and exercises")
    groups = (
        f'<tr><th rowspan="2" scope="col">{page}</th>'
        f'<th colspan="3" scope="colgroup">{text}</th>'
        f'<th colspan="3" scope="colgroup">{outputs}</th></tr>'
    )
    title = _("How far the translation has come")
    return (
        f"<section><h1>{title}</h1><p>{intro}</p>"
        '<div class="pst-scrollable-table-container"><table class="table book-status">'
        f"<thead>{groups}<tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        "</section>"
    )


def collect(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page, in a translated site."""
    if is_translation(app.config):
        title = _("How far the translation has come")
        yield STATUS_PAGE, {"title": title, "body": body(app)}, "page.html"


def setup(app: Sphinx) -> None:
    app.connect("html-collect-pages", collect)
