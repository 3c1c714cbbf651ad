"""Number chapters, figures and tables by the chapter's own number: Figure 7.2 is in chapter 7.

Sphinx would number by position in the table of contents; a chapter's number is in its file name
(`notebooks/07_attention.ipynb`) and stays the same while the book grows.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _

CHAPTER = re.compile(r"notebooks/(\d\d)_(\w+)$")


def number_by_chapter(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Rewrite the numbers that Sphinx assigned; nothing else has to be written again."""
    for page, kinds in env.toc_fignumbers.items():
        found = CHAPTER.match(page)
        if not found:
            continue
        chapter = int(found.group(1))
        for numbers in kinds.values():
            for position, label in enumerate(numbers, start=1):
                numbers[label] = (chapter, position)
    return []


def label_chapter(app: Sphinx, doctree: nodes.document) -> None:
    """Let {ref}`chapter 7 <attention>` lead to notebooks/07_attention."""
    page = app.env.docname
    found = CHAPTER.match(page)
    heading = next(iter(doctree.findall(nodes.title)), None)
    if found and heading is not None:
        domain = app.env.get_domain("std")
        name = found.group(2).lower()
        domain.data["labels"].setdefault(name, (page, "", heading.astext()))
        domain.data["anonlabels"].setdefault(name, (page, ""))


def name_chapter(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write the chapter's number above its title, and into the title of the window."""
    found = CHAPTER.match(page)
    if not found or "body" not in context:
        return
    number = int(found.group(1))
    eyebrow = f'<p class="book-eyebrow">{_("Chapter {}").format(number)}</p>\n<h1'
    context["body"] = context["body"].replace("<h1", eyebrow, 1)
    context["title"] = f"{number}. {context['title']}"


def setup(app: Sphinx) -> None:
    app.connect("env-get-updated", number_by_chapter, priority=900)
    app.connect("doctree-read", label_chapter)
    app.connect("html-page-context", name_chapter)
