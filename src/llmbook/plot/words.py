"""The words of figures, in the chosen language.

With ``LLMBOOK_LANG`` set, every text that matplotlib is given is looked up as it stands (context
``figure``), then with its numbers masked: ``"7.5 bits"`` is found as ``"{0} bits"``. What is in
no catalogue, and what is marked as data, is drawn as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path

from matplotlib import font_manager
from matplotlib.text import Text

from llmbook.language import ENGLISH, language, translate

FONT = Path(__file__).parents[1] / "assets" / "font" / "llmbook-cjk.ttf"

_NUMBER = re.compile(r"(?<![\w.,\-−])[-−+]?\d+(?:[.,]\d+)*(?!\w)")
_PLACE = re.compile(r"\{(\d)\}")


class Verbatim(str):
    """A token, a word of a text, a name: data, which is drawn as it is in every language."""

    __slots__ = ()


def masked(text: str) -> tuple[str, list[str]]:
    """A text with {0}, {1}, … in place of its numbers, and the numbers.

    A number that belongs to a name is left: GPT-2, word2vec.

    >>> masked("7.5 bits, GPT-2")
    ('{0} bits, GPT-2', ['7.5'])
    """
    numbers: list[str] = []

    def take(match: re.Match[str]) -> str:
        numbers.append(match[0])
        return f"{{{len(numbers) - 1}}}"

    return _NUMBER.sub(take, text), numbers


def spoken(text: str) -> str:
    """A figure's text in the chosen language, its numbers as they were."""
    found = translate(text, "figure")
    if found != text or not any(c.isalpha() for c in text):
        return found
    pattern, numbers = masked(text)
    if not numbers:
        return text
    found = translate(pattern, "figure")
    return text if found == pattern else _PLACE.sub(lambda place: numbers[int(place[1])], found)


def add_font() -> None:
    """Let matplotlib draw Chinese with the shipped font, for bold text too: it has one weight."""
    fonts = font_manager.fontManager
    fonts.addfont(FONT)
    fonts.ttflist.append(dataclasses.replace(fonts.ttflist[-1], weight=700))


def _speaking(set_text: Callable[[Text, object], None]) -> Callable[[Text, object], None]:
    @functools.wraps(set_text)
    def set_spoken(self: Text, s: object) -> None:
        set_text(self, spoken(s) if type(s) is str else s)

    return set_spoken


def prepare() -> None:
    """Give matplotlib the shipped font and, in another language than English, its words.

    Every text of a figure passes `Text.set_text`: titles, labels, ticks, legends, notes. In
    English nothing of matplotlib is touched.
    """
    add_font()
    if language() != ENGLISH and not hasattr(Text.set_text, "__wrapped__"):
        Text.set_text = _speaking(Text.set_text)  # type: ignore[assignment, method-assign]
