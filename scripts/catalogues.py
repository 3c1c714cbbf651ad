"""Read and write the catalogues of a translation (.po): one form, so that a diff shows words alone.

No dates, no line numbers, no wrapped lines, no machine's paths, and no flag that gettext's
tools guess (braces of roles and formulas look like a format string and are none).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "book" / "locale"
LANGUAGES = {"zh_CN": "Simplified Chinese"}
GUESSED = {"python-format", "python-brace-format"}
HEADER = """\
# {name} edition. Text: CC BY 4.0, The llmbook authors.
msgid ""
msgstr ""
"Project-Id-Version: llmbook\\n"
"Language: {language}\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


@dataclass
class Progress:
    """How many messages of a catalogue are done, changed underneath, and without translation."""

    done: int = 0
    stale: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        """All messages."""
        return self.done + self.stale + self.missing

    @property
    def share(self) -> float:
        """The share of messages that are done; 1 where there is none."""
        return self.done / self.total if self.total else 1.0


def folder(language: str) -> Path:
    """Where the catalogues of a language lie."""
    return LOCALES / language / "LC_MESSAGES"


def messages(catalogue: Catalog) -> list[Any]:
    """The messages of a catalogue in their order, without the header."""
    return [message for message in catalogue if message.id]


def read(path: Path, language: str = "zh_CN") -> Catalog:
    """Read a catalogue; an empty one where there is no file."""
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def render(catalogue: Catalog, language: str = "zh_CN") -> str:
    """The text of a catalogue's file."""
    for message in messages(catalogue):
        message.flags -= GUESSED
        message.locations = [(name, 0) for name, _ in message.locations][:1]
    out = io.BytesIO()
    write_po(out, catalogue, width=0, omit_header=True, include_lineno=False)
    header = HEADER.format(name=LANGUAGES[language], language=language)
    return f"{header}\n{out.getvalue().decode('utf-8').strip()}\n"


def write(path: Path, catalogue: Catalog, language: str = "zh_CN") -> bool:
    """Write a catalogue unless its file already says the same; return whether it was written."""
    text = render(catalogue, language)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def state(message: Message) -> str:
    """Whether a message is "done", "stale" (changed underneath) or "missing"."""
    if not message.string:
        return "missing"
    return "stale" if message.fuzzy else "done"


def progress(catalogue: Catalog) -> Progress:
    """Count the messages of a catalogue by their state."""
    counts = Progress()
    for message in messages(catalogue):
        name = state(message)
        setattr(counts, name, getattr(counts, name) + 1)
    return counts


def complete_pages(language: str) -> list[str]:
    """The pages whose translation is promised complete, by their names without ending."""
    path = LOCALES / language / "complete.txt"
    return path.read_text(encoding="utf-8").split() if path.exists() else []
