"""What the book's site adds to, and takes from, Jupyter Book's default pages.

One module per concern, each with its own `setup`. Nothing here asks the network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
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
    punctuation,
    search,
    sharing,
    speed,
    status,
    timings,
    translated,
)


def fingerprint() -> str:
    """A hash of the extension and the templates."""
    book = Path(__file__).resolve().parents[2]
    paths = sorted([*book.glob("_ext/**/*.py"), *book.glob("_templates/**/*.html")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


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
        punctuation,
        status,
        search,
        speed,
    ):
        part.setup(app)
    # Sphinx knows which page has changed, and not which code has made it.
    app.add_config_value("llmbook_site_sources", fingerprint(), "env")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
