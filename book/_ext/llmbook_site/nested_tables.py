"""Let the cells of a table inside a directive (a tab, an admonition) be translated.

Sphinx translates a paragraph only if it knows the paragraph's source. MyST gives the cells of a
nested table none, so they are given the document's before catalogues are read or written.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class NameSourceOfCells(SphinxTransform):
    """Give every table cell's text the source of its document."""

    default_priority = 5  # before messages are preserved (10) and translated (20)

    def apply(self, **kwargs: Any) -> None:
        for entry in self.document.findall(nodes.entry):
            for text in entry.findall(nodes.paragraph):
                if not text.source:
                    text.source, text.line = self.document["source"], 0


def setup(app: Sphinx) -> None:
    app.add_transform(NameSourceOfCells)
