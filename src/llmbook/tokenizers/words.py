"""BERT's first step: text without control characters, cut at spaces and at punctuation."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_ASCII_SIGNS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cs"})


def split_words(
    text: str, lowercase: bool = True, strip_accents: bool | None = None, space_chinese: bool = True
) -> list[str]:
    """The words and signs of a text, in order; what stood between them is lost.

    Control characters go, every Chinese character stands alone, accents are taken off (the
    text is decomposed, Unicode's form NFD, and its combining marks are dropped), letters
    become small, and each sign of punctuation is a word of its own.

    Args:
        text: any string.
        lowercase: make letters small, each by itself.
        strip_accents: None means as ``lowercase`` says.
        space_chinese: whether Chinese characters are words of their own.

    Source: Devlin et al. 2019, the published code. Taught in chapter 3.
    """
    text = "".join(_clean(char, space_chinese) for char in text)
    if lowercase if strip_accents is None else strip_accents:
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    if lowercase:
        text = "".join(char.lower() for char in text)
    return "".join(f" {char} " if _is_punctuation(char) else char for char in text).split()


@lru_cache(maxsize=1 << 16)
def _clean(char: str, space_chinese: bool) -> str:
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in _DROPPED:
        return ""
    if char.isspace():
        return " "
    if space_chinese and any(first <= ord(char) <= last for first, last in _CHINESE):
        return f" {char} "
    return char


@lru_cache(maxsize=1 << 16)
def _is_punctuation(char: str) -> bool:
    return char in _ASCII_SIGNS or unicodedata.category(char).startswith("P")
