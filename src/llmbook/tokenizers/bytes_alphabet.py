"""GPT-2's alphabet: one printable character for each of the 256 bytes."""

from __future__ import annotations


def _printable_bytes() -> list[int]:
    return [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(0xAE, 0x100)]


def _alphabet() -> dict[int, str]:
    """Printable Latin-1 bytes stand for themselves; the 68 others are moved up from U+0100."""
    letters = {byte: chr(byte) for byte in _printable_bytes()}
    others = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(0x100 + i) for i, byte in enumerate(others)}


BYTE_TO_CHAR = _alphabet()
"""Byte → printable character, in the order of GPT-2's first 256 token ids."""

CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


def to_printable(token: bytes) -> str:
    """A token's bytes in GPT-2's alphabet, where a space is Ġ and a line break is Ċ."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def from_printable(text: str) -> bytes:
    """The bytes that `to_printable` was given.

    Raises:
        ValueError: a character that stands for no byte.
    """
    unknown = [char for char in text if char not in CHAR_TO_BYTE]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} in token {text!r} is not a letter of GPT-2's byte alphabet"
        )
    return bytes(CHAR_TO_BYTE[char] for char in text)
