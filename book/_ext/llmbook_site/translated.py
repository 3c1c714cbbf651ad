"""A translated page says what of it is not translated, and marks those passages as English.

Sphinx notes for every passage whether its catalogue had a translation. Untranslated passages get
lang="en", so that a screen reader speaks them rightly, and the page begins with a note.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import NodeMatcher, extract_messages

from .languages import SOURCE, is_translation

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "scripts"))  # the catalogues are read by the code that writes them
STATUS_PAGE = "book/translation"
ENGLISH = f"language-{SOURCE}"  # docutils writes a class of this name as the attribute lang


@cache
def catalogue(language: str, name: str) -> dict[str, str]:
    """What is translated in a catalogue: English -> translation, whatever the context."""
    import catalogues

    found = catalogues.read(catalogues.folder(language) / f"{name}.po", language)
    done = (m for m in catalogues.messages(found) if catalogues.state(m) == "done")
    return {message.id: message.string for message in done}


def page_progress(language: str, page: str) -> Any:
    """How much of a page's text is translated."""
    import catalogues

    path = catalogues.folder(language) / f"{page}.po"
    return catalogues.progress(catalogues.read(path, language))


class TranslateFormulas(SphinxTransform):
    """Translate the words inside a displayed formula, which Sphinx would read as a paragraph."""

    default_priority = 15  # before Sphinx looks for translations

    def apply(self, **kwargs: Any) -> None:
        if not is_translation(self.config):
            return
        known = catalogue(self.config.language, self.env.docname)
        for node, message in list(extract_messages(self.document)):
            if isinstance(node, nodes.math_block) and known.get(message, message) != message:
                node[:] = [nodes.Text(known[message].strip("\n"))]
                node.rawsource = ""


class MarkEnglish(SphinxTransform):
    """Mark what stayed English: untranslated passages, and code."""

    default_priority = 30  # after Sphinx has put the translations in

    def apply(self, **kwargs: Any) -> None:
        if not is_translation(self.config):
            return
        for node in NodeMatcher(nodes.Element, translated=Any).findall(self.document):
            if not node["translated"] and not isinstance(node, nodes.math_block | nodes.image):
                node["classes"].append(ENGLISH)
        for cell in self.document.findall(nodes.container):
            if "cell_input" in cell["classes"]:
                cell["classes"].append(ENGLISH)


def note(missing: int, total: int, address: str) -> str:
    """The sentence at the top of a page that is not translated as a whole."""
    if missing == total:
        words = _("This page is not translated yet: it is shown in English.")
    else:
        words = _("{missing} of the {total} passages of this page are shown in English.")
    link = f'<a href="{escape(address)}">{_("How far the translation has come")}</a>'
    text = words.format(missing=missing, total=total)
    return f'<div class="book-untranslated" role="note"><p>{text} {link}</p></div>'


def add_note(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the note below the title."""
    if doctree is None or not is_translation(app.config):
        return
    counts = page_progress(app.config.language, page)
    if counts.done < counts.total:
        address = f"{'../' * page.count('/')}{STATUS_PAGE}.html"
        line = note(counts.total - counts.done, counts.total, address)
        context["body"] = re.sub(
            r"</h1>", lambda end: f"{end[0]}\n{line}", context["body"], count=1
        )


def setup(app: Sphinx) -> None:
    app.add_transform(TranslateFormulas)
    app.add_transform(MarkEnglish)
    app.connect("html-page-context", add_note, priority=600)
