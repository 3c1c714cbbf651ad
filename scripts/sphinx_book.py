"""Run Sphinx once on the book, with Jupyter Book's configuration, in one language.

    python scripts/sphinx_book.py html zh_CN    # the site of one language, strictly
    python scripts/sphinx_book.py gettext       # the book's messages, into _build/gettext

`make book` and `make translations` call it. It does what `jupyter-book build` does; that command
cannot be told a language, a folder for what it remembers, or to leave a slow import alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SOURCE_LANGUAGE = "en"
LANGUAGES = ("en", "zh_CN")  # the first is the one that the book is written in


def output(builder: str, language: str) -> Path:
    """Where a build writes: translated sites lie in a folder of the site."""
    if builder != "html":
        return BUILD / builder
    return BUILD / "html" if language == SOURCE_LANGUAGE else BUILD / "html" / language


def memory(builder: str, language: str) -> Path:
    """Where a build keeps what it has read, for the next time."""
    if builder != "html":
        return BUILD / ".doctrees" / builder
    return BUILD / ".doctrees" / language


def run(builder: str, language: str) -> int:
    """Build; return the exit status.

    jsonschema checks internationalised addresses with a package that compiles 38 grammars when
    it is imported, two seconds each time. The configuration holds no such address.
    """
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from jupyter_book.sphinx import build_sphinx

    result = build_sphinx(
        ROOT,
        output(builder, language),
        noconfig=True,
        path_config=ROOT / "_config.yml",
        confoverrides={
            "external_toc_path": str(ROOT / "_toc.yml"),
            "language": language,
            "latex_individualpages": False,
        },
        doctreedir=memory(builder, language),
        builder=builder,
        warningiserror=True,
        keep_going=True,
    )
    return result if isinstance(result, int) else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else SOURCE_LANGUAGE))
