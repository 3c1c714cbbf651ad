"""Keep a mark of punctuation on the line of the formula before it.

A browser may break a line on either side of a formula, even before a full stop or 。. The two are
wrapped together, unless the formula is so long that on a phone the mark would stand outside.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

CLOSING = re.compile(r"[.,;:!?)\]’”，。；：？！）、》]+")
LONGEST = 40  # characters of TeX


def keep_together(document: nodes.document) -> None:
    """Wrap every short formula and the marks that follow it in a `book-together` span."""
    for formula in list(document.findall(nodes.math)):
        parent = formula.parent
        here = parent.index(formula)
        text = parent[here + 1] if here + 1 < len(parent) else None
        marks = CLOSING.match(text) if isinstance(text, nodes.Text) else None
        if not marks or len(formula.astext()) > LONGEST:
            continue
        whole = nodes.inline("", "", classes=["book-together"])
        parent[here : here + 2] = [whole, nodes.Text(text[marks.end() :])]
        whole += [formula, nodes.Text(marks.group())]


class KeepPunctuation(SphinxPostTransform):
    """Applied to the pages as they are written, so that catalogues see none of it."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        keep_together(self.document)


def setup(app: Sphinx) -> None:
    app.add_post_transform(KeepPunctuation)
