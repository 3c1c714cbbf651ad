"""The World English Bible from Debian's `sword-text-web`, one document per chapter.

The module holds OSIS markup; notes, cross-references and the glossary are left out, paragraphs and
lines of verse are kept.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from .common import BuildError, Draft, tidy

SOURCE = "bible"
MODULE = "engWEB2015eb"
_JOIN = "\0"


def read(package_root: Path) -> Iterator[Draft]:
    """Yield the chapters of every book in the module's order."""
    try:
        from pysword.modules import SwordModules
    except ImportError as error:
        raise BuildError("The Bible is read with pysword: pip install pysword") from error
    modules = SwordModules(str(package_root / "usr/share/sword"))
    modules.parse_modules()
    bible = modules.get_bible_from_module(MODULE)
    for books in bible.get_structure().get_books().values():
        for book in books:
            for chapter in range(1, book.num_chapters + 1):
                osis = bible.get(books=[book.name.lower()], chapters=[chapter], clean=False)
                text = clean(osis)
                if text.strip():
                    title = f"{book.name} {chapter}"
                    yield Draft(SOURCE, title, text, title)


def clean(osis: str) -> str:
    """OSIS markup of a chapter to plain text: paragraphs apart, each line of verse on its own."""
    text = re.split(r"<div sID=\"[^\"]*\" type=\"glossary\"", osis)[0]
    text = re.sub(r"\s*\n\s*", " ", text)  # verses of a paragraph follow each other
    text = re.sub(r"<note\b.*?</note>|</q>", _JOIN, text)
    text = re.sub(r"<milestone[^>]*>", "", text)
    text = re.sub(
        r"<div sID=[^>]*type=\"x-p\"[^>]*>|<lb\b[^>]*>|<lg\b[^>]*>|</?list>", "\n\n", text
    )
    text = re.sub(r"<title\b[^>]*>|</title>", "\n\n", text)
    text = re.sub(r"<l sID=[^>]*>|<l level=\"\d\" sID[^>]*>|<item\b[^>]*>", "\n", text)
    text = re.sub(r"<speaker>|</speaker>", "\n", text)
    text = html.unescape(re.sub(r"<[^>]*>", "", text))
    # A note or a closing quotation stands where the module left out the space between two words.
    text = re.sub(rf"(?<=[\w.,;:!?”’]){_JOIN}+(?=\w)", " ", text).replace(_JOIN, "")
    return tidy(text) if text.strip() else ""
