"""Accessibility faults of the theme and of docutils, mended where the page is written.

Each rule names the axe-core rule it answers. What a template can mend is in book/_templates.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

RULES = [
    # A citation list is a role="list" around children that are no list items, each with a
    # deprecated role (aria-required-children, aria-deprecated-role, aria-allowed-role). Without
    # roles it reads as the labelled paragraphs that it is.
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (re.compile(r'(<div class="citation" id="[^"]*") role="doc-biblioentry"'), r"\1"),
    # The box of a folded cell is named by what it shows, in the page's language, and not by a
    # fixed English label (label-content-name-mismatch).
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
]


def mend_body(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Apply every rule to the rendered body."""
    body = context.get("body")
    if not body:
        return
    for pattern, replacement in RULES:
        body = pattern.sub(replacement, body)
    context["body"] = body


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", mend_body, priority=900)
