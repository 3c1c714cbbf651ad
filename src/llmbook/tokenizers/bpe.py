"""Byte-pair encoding on bytes: learn which pairs to join, then join them in that order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import regex

from llmbook.tokenizers.bytes_alphabet import BYTE_TO_CHAR, to_printable
from llmbook.tokenizers.merging import Pair, join_pair, learn_merges

WORD_PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
"""GPT-2's splitting of text into words, numbers, signs and spaces: no token crosses a split."""

END_OF_TEXT = "<|endoftext|>"


class BPETokenizer:
    """Byte-level BPE: ids 0–255 are the bytes in GPT-2's order, then one id for each merge.

    The last id is the end-of-text token, which no text encodes to: text is always read as
    plain text. Any string can be encoded, and comes back unchanged.

    Source: Sennrich et al. 2016, algorithm 1; on bytes: Radford et al. 2019, section 2.2.
    Taught in chapter 3.
    """

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = [(int(left), int(right)) for left, right in merges]
        self._tokens = [bytes([byte]) for byte in BYTE_TO_CHAR]
        for rank, (left, right) in enumerate(self.merges):
            if not (0 <= left < 256 + rank and 0 <= right < 256 + rank):
                raise ValueError(
                    f"merge {rank} joins ids {left} and {right}, but only "
                    f"{256 + rank} tokens exist by then"
                )
            self._tokens.append(self._tokens[left] + self._tokens[right])
        self._ranks = {pair: 256 + rank for rank, pair in enumerate(self.merges)}
        self._byte_ids = {byte: i for i, byte in enumerate(BYTE_TO_CHAR)}
        self._encode_word = lru_cache(maxsize=100_000)(self._merge_word)

    @classmethod
    def train(cls, text: str | Iterable[str], vocab_size: int) -> BPETokenizer:
        """Learn ``vocab_size - 257`` merges, most frequent pair first.

        Among equally frequent pairs the one with the smaller ids wins, as in the Hugging
        Face library. Fewer merges are learnt where no pair occurs twice.

        Raises:
            ValueError: a vocabulary too small for the 256 bytes and the end-of-text token.
        """
        if vocab_size < 257:
            raise ValueError(
                f"vocab_size={vocab_size}: give at least 257, for the 256 bytes and {END_OF_TEXT}"
            )
        byte_ids = {byte: i for i, byte in enumerate(BYTE_TO_CHAR)}
        words = Counter(_words([text] if isinstance(text, str) else text))
        spelled = {
            tuple(byte_ids[byte] for byte in _utf8(word)): count for word, count in words.items()
        }
        return cls(learn_merges(spelled, n_merges=vocab_size - 257, first_id=256))

    @property
    def vocab_size(self) -> int:
        """256 bytes, one token per merge, and end-of-text."""
        return len(self._tokens) + 1

    @property
    def end_of_text_id(self) -> int:
        """The id that stands between documents."""
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of a text: split into words, spell each in bytes, join pairs in merge order.

        Raises:
            ValueError: the string holds a lone surrogate and so is not Unicode text.
        """
        ids: list[int] = []
        for word in WORD_PATTERN.findall(text):
            ids += self._encode_word(_utf8(word))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Bytes that are not UTF-8 become U+FFFD; end-of-text is left out."""
        spelled = (self.token_bytes(i) for i in ids if i != self.end_of_text_id)
        return b"".join(spelled).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that an id stands for.

        Raises:
            ValueError: an id outside the vocabulary.
        """
        if token_id == self.end_of_text_id:
            return END_OF_TEXT.encode()
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}")
        return self._tokens[token_id]

    def token_str(self, token_id: int) -> str:
        """The token as text to look at: a leading space shows as ␣, a line break as ⏎."""
        if token_id == self.end_of_text_id:
            return END_OF_TEXT
        token = self.token_bytes(token_id)
        try:
            text = token.decode("utf-8")
        except UnicodeDecodeError:
            return to_printable(token)
        return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")

    def save(self, path: str | Path) -> None:
        """Write a Hugging Face ``tokenizer.json``, which `load` and ``transformers`` both read."""
        from llmbook.tokenizers.hf import write_tokenizer_json

        write_tokenizer_json(self, path)

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read a byte-level BPE ``tokenizer.json``, as `save` writes it.

        Raises:
            ValueError: the file is not such a tokenizer; the message says what is wrong.
        """
        from llmbook.tokenizers.hf import read_tokenizer_json

        return cls(read_tokenizer_json(path))

    def _merge_word(self, word: bytes) -> list[int]:
        ids = [self._byte_ids[byte] for byte in word]
        while len(ids) > 1:
            pair = min(itertools.pairwise(ids), key=lambda p: self._ranks.get(p, 1 << 62))
            if pair not in self._ranks:
                break
            ids = join_pair(ids, pair, self._ranks[pair])
        return ids


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from WORD_PATTERN.findall(text)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text holds {text[error.start]!r}, half of a character (a lone surrogate): "
            "read the file with its true encoding, or with errors='replace'"
        ) from None
