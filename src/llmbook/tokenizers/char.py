"""The simplest tokenizer: one token for each character."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path


class CharTokenizer:
    """One id per character seen in training, in code-point order. Taught in chapter 3."""

    def __init__(self, characters: Sequence[str]) -> None:
        if len(set(characters)) != len(characters) or any(len(c) != 1 for c in characters):
            raise ValueError("characters: give each single character once")
        self.characters = list(characters)
        self._ids = {char: i for i, char in enumerate(self.characters)}

    @classmethod
    def train(cls, text: str | Iterable[str]) -> CharTokenizer:
        """Collect the characters of a text, or of several."""
        texts = [text] if isinstance(text, str) else text
        return cls(sorted(set().union(*texts)))

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Ids of the characters.

        Raises:
            ValueError: a character that training never saw.
        """
        try:
            return [self._ids[char] for char in text]
        except KeyError as error:
            raise ValueError(
                f"character {error.args[0]!r} was not in the training text: train the tokenizer "
                "on text that has it, or use BPETokenizer, which can write any text"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids."""
        return "".join(self.token_str(i) for i in ids)

    def token_str(self, token_id: int) -> str:
        """The character of an id.

        Raises:
            ValueError: an id outside the vocabulary.
        """
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}")
        return self.characters[token_id]

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        Path(path).write_text(json.dumps({"characters": self.characters}), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> CharTokenizer:
        """Read what `save` wrote.

        Raises:
            ValueError: the file is not a saved CharTokenizer.
        """
        try:
            characters = json.loads(Path(path).read_text(encoding="utf-8"))["characters"]
            return cls(characters)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved CharTokenizer: {error}") from None
