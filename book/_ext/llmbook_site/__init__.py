"""What the book's site adds to, and takes from, Jupyter Book's default pages.

One module per concern, each with its own `setup`. Nothing here asks the network.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from . import (
    access,
    chapter_map,
    components,
    folds,
    glossary,
    languages,
    launch,
    metadata,
    nested_tables,
    numbering,
    outputs,
    search,
    sharing,
    speed,
    status,
    timings,
    translated,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part of the site."""
    for part in (
        metadata,
        launch,
        numbering,
        components,
        folds,
        access,
        timings,
        glossary,
        chapter_map,
        nested_tables,
        languages,
        sharing,
        translated,
        outputs,
        status,
        search,
        speed,
    ):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
