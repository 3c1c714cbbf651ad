"""The outputs of the notebooks in the language of the site.

A chapter is executed once more with the package speaking that language (`make notebooks
BOOK_LANG=zh_CN`). What differs from the committed outputs lies in `book/locale/LANGUAGE/outputs/`,
by cell, with the hash of the cell's source: an output of another source is not used.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from .languages import is_translation
from .numbering import CHAPTER
from .translated import ROOT, catalogue


def store_path(language: str, chapter: str) -> Path:
    """Where a chapter's outputs in a language are kept."""
    return ROOT / "book" / "locale" / language / "outputs" / f"{chapter}.json"


def stored_outputs(language: str, chapter: str) -> dict[str, Any]:
    """The cells of a chapter that have outputs of their own in a language, by their id."""
    path = store_path(language, chapter)
    if not path.exists():
        return {}
    cells: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def in_language(notebook: dict[str, Any], language: str, chapter: str) -> dict[str, Any]:
    """The notebook with translated outputs and alternative texts, where there are any."""
    stored = stored_outputs(language, chapter)
    words = catalogue(language, f"llmbook/chapter_{chapter[:2]}")
    for cell in notebook["cells"]:
        found = stored.get(cell.get("id", ""))
        source = "".join(cell["source"])
        if found and found["source"] == hashlib.sha256(source.encode()).hexdigest():
            cell["outputs"] = found["outputs"]
        image = cell["metadata"].get("mystnb", {}).get("image", {})
        if "alt" in image:
            image["alt"] = words.get(image["alt"], image["alt"])
    return notebook


def dependencies(language: str, chapter: str) -> list[Path]:
    """What a translated chapter is made of besides its notebook and its page's catalogue."""
    words = ROOT / "book" / "locale" / language / "LC_MESSAGES" / "llmbook"
    found = [store_path(language, chapter), words / f"chapter_{chapter[:2]}.po"]
    return [path for path in found if path.exists()]


def newly_stored(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Chapters that got outputs of their own since they were last read."""
    if not is_translation(app.config):
        return []
    language, chapters = app.config.language, [n for n in env.found_docs if CHAPTER.match(n)]
    return [
        name
        for name in chapters
        for path in dependencies(language, name.removeprefix("notebooks/"))
        if str(path) not in env.dependencies[name]
    ]


def read_notebook(app: Sphinx, name: str, content: list[str]) -> None:
    """Swap the outputs in as a chapter is read."""
    if not is_translation(app.config) or not CHAPTER.match(name):
        return
    chapter = name.removeprefix("notebooks/")
    for path in dependencies(app.config.language, chapter):
        app.env.note_dependency(str(path))
    notebook = in_language(json.loads(content[0]), app.config.language, chapter)
    content[0] = json.dumps(notebook, ensure_ascii=False)


def setup(app: Sphinx) -> None:
    app.connect("env-get-outdated", newly_stored)
    app.connect("source-read", read_notebook)
