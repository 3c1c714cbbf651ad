"""Work that Sphinx's extensions do again and again, done once."""

from __future__ import annotations

import functools

import docutils.frontend
import pybtex.plugin
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish


def remember_plugins() -> None:
    """Every citation looks up its style among the entry points of all installed packages."""
    pybtex.plugin._load_entry_point = functools.cache(pybtex.plugin._load_entry_point)


def remember_stems() -> None:
    """The same words are stemmed on every page."""
    SearchEnglish.stem = functools.cache(SearchEnglish.stem)  # type: ignore[method-assign]


def remember_settings() -> None:
    """Every translated passage is parsed in a document of its own, with the same settings."""
    original = functools.cache(docutils.frontend.get_default_settings)
    docutils.frontend.get_default_settings = lambda *parts: original(*parts).copy()


def setup(app: Sphinx) -> None:
    remember_plugins()
    remember_stems()
    remember_settings()
