"""Number figures and tables by the chapter's own number: Figure 7.2 is the second of chapter 7.

Sphinx would number by position in the table of contents; a chapter's number is in its file name
(`notebooks/07_attention.ipynb`) and stays the same while the book grows.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CHAPTER = re.compile(r"notebooks/(\d\d)_")


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


def setup(app: Sphinx) -> None:
    app.connect("env-get-updated", number_by_chapter, priority=900)
