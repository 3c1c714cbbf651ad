"""What the book's site adds to, and takes from, Jupyter Book's default pages."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part of the site."""
    return {"parallel_read_safe": True, "parallel_write_safe": True}
