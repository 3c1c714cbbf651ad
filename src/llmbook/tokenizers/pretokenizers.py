"""How a text is cut before byte-pair encoding: no token crosses a cut.

Each family has one pattern, written down here. A file only names the family: a pattern out of a
file could run for years on a hostile text.
"""

from __future__ import annotations

from typing import Any

import regex

WORD_PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
"""GPT-2's splitting of text into words, numbers, signs and spaces: no token crosses a split."""

_DIGITS = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
)
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PATTERNS = {"gpt2": WORD_PATTERN, "digits": _DIGITS, "llama3": regex.compile(_LLAMA3)}
"""``gpt2``; ``digits``: GPT-2's after every digit was cut out by itself (SmolLM2); ``llama3``."""

GGUF_NAMES = {
    "gpt2": "gpt2",
    "gpt-2": "gpt2",
    "smollm": "digits",
    "llama-bpe": "llama3",
    "llama3": "llama3",
}
"""What ``tokenizer.ggml.pre`` of a GGUF file calls them."""


def byte_level(use_regex: bool = True) -> dict[str, Any]:
    """The step of a ``tokenizer.json`` that spells bytes as letters, cutting as GPT-2 or not."""
    flags = {"add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
    return {"type": "ByteLevel", **flags}


def to_json(split: str) -> dict[str, Any]:
    """The ``pre_tokenizer`` of a ``tokenizer.json`` that cuts in the same places."""
    if split == "gpt2":
        return byte_level()
    first = {"type": "Digits", "individual_digits": True}
    if split == "llama3":
        first = {"type": "Split", "pattern": {"Regex": _LLAMA3}}
        first |= {"behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [first, byte_level(split == "digits")]}


def from_json(document: Any) -> str:
    """The name of a ``pre_tokenizer``; how a decoder trims its offsets changes no id.

    Raises:
        ValueError: it cuts in another way than the families above.
    """
    for name in PATTERNS:
        if _without_offsets(document) == _without_offsets(to_json(name)):
            return name
    raise ValueError(f"it cuts text in a way that is not known here: {str(document)[:120]}")


def _without_offsets(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    known = {k: v for k, v in document.items() if k not in ("trim_offsets", "pretokenizers")}
    if known.get("type") == "ByteLevel":
        known.setdefault("use_regex", True)
    steps = document.get("pretokenizers", ())
    return known | {"steps": [_without_offsets(s) for s in steps]} if steps else known
