"""What every reader of a source shares: a draft document and white space rules."""

import re
from dataclasses import dataclass


class BuildError(Exception):
    """The corpus cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Draft:
    """A cleaned document before the split.

    `group` names what must stay on one side of the split (a whole play, say).
    """

    source: str
    title: str
    text: str
    group: str

    @property
    def n_bytes(self) -> int:
        return len(self.text.encode())


def tidy(text: str) -> str:
    """One space between words, no space at either end of a line, at most one empty line."""
    lines = (
        re.sub(r"[ \t\u00a0\u2000-\u200a\u202f]+", " ", line).strip() for line in text.split("\n")
    )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
