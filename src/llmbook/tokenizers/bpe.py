"""Byte-pair encoding on bytes: learn which pairs to join, then join them in that order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import regex

from llmbook.tokenizers.bytes_alphabet import BYTE_TO_CHAR, from_printable, to_printable
from llmbook.tokenizers.merging import Pair, learn_merges, merge_word
from llmbook.tokenizers.pretokenizers import PATTERNS, WORD_PATTERN

END_OF_TEXT = "<|endoftext|>"
LONGEST_KEPT = 64
"""Longer words are joined anew each time, so that the memory of words stays small."""


class BPETokenizer:
    """Byte-level BPE: single bytes, one token for each merge, and special tokens.

    Trained here, or GPT-2's: ids 0–255 are the bytes in GPT-2's order, then comes one id for
    each merge, and the last is the end-of-text token. Other families order their ids
    otherwise, and then ``tokens`` says what each id spells.

    Text is read as plain text: no string turns into a special token unless `encode` is told
    to look for it. Any text can be encoded, and comes back unchanged where all 256 bytes
    are tokens; SmolLM2 lacks 21 rare ones and drops them, as the library that made it does.

    Args:
        merges: pairs of ids, in the order in which they were learnt.
        tokens: the bytes of every id, special tokens included; None for GPT-2's order.
        special: name of each special token → its id.
        split: how text is cut into words first, a name of `pretokenizers.PATTERNS`.
        end_of_text: the special token that stands between documents.
        ignore_merges: take a word that is a token as it is, before any merge (Llama 3).

    Raises:
        ValueError: merges, tokens and special tokens that contradict each other.

    Source: Sennrich et al. 2016, algorithm 1; on bytes: Radford et al. 2019, section 2.2.
    Taught in chapter 3.
    """

    def __init__(
        self,
        merges: Iterable[Pair],
        *,
        tokens: Sequence[bytes] | None = None,
        special: Mapping[str, int] | None = None,
        split: str = "gpt2",
        end_of_text: str = END_OF_TEXT,
        ignore_merges: bool = False,
    ) -> None:
        self.merges = [(int(left), int(right)) for left, right in merges]
        if tokens is None:
            tokens = _spell(self.merges)
            special = {END_OF_TEXT: len(tokens) - 1}
        self._tokens, self.special = list(tokens), dict(special or {})
        if split not in PATTERNS:
            raise ValueError(f"split={split!r}: choose one of {sorted(PATTERNS)}")
        if end_of_text not in self.special:
            raise ValueError(f"end_of_text={end_of_text!r} is none of {sorted(self.special)}")
        self.split, self.ignore_merges = split, ignore_merges
        self.end_of_text_id = self.special[end_of_text]
        self._special_ids = frozenset(self.special.values())
        self._ids = _ids_of_bytes(self._tokens, self.special)
        self._ranks = _ranks(self.merges, self._tokens, self._ids)
        if not ignore_merges:
            _refuse_unreachable(self._ids, self._ranks)
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
        """Number of ids: bytes, one token per merge, and special tokens."""
        return len(self._tokens)

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """Ids of a text: split into words, spell each in bytes, join pairs in merge order.

        Args:
            text: any text; special tokens in it are read letter by letter.
            allowed_special: special tokens to look for, or ``"all"``. Never allow them in
                text that somebody else wrote: it could then end a turn, or begin another.

        Raises:
            ValueError: the string holds a lone surrogate and so is not Unicode text, or an
                allowed token does not exist.
        """
        if not allowed_special:
            return self._encode_text(text)
        names = self.special if allowed_special == "all" else allowed_special
        unknown = set(names) - set(self.special)
        if unknown:
            raise ValueError(f"{min(unknown)!r} is none of the special tokens {[*self.special]}")
        longest_first = sorted(names, key=len, reverse=True)
        finder = regex.compile(f"({'|'.join(map(regex.escape, longest_first))})")
        ids: list[int] = []
        for i, part in enumerate(finder.split(text)):  # text, special, text, special, text …
            ids += [self.special[part]] if i % 2 else self._encode_text(part)
        return ids

    def decode(self, ids: Iterable[int], keep_special: bool = False) -> str:
        """The text of the ids. Bytes that are not UTF-8 become U+FFFD.

        Special tokens are left out, or written by their names with ``keep_special``.
        """
        left_out = frozenset() if keep_special else self._special_ids
        spelled = (self.token_bytes(i) for i in ids if i not in left_out)
        return b"".join(spelled).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that an id stands for.

        Raises:
            ValueError: an id outside the vocabulary.
        """
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}")
        return self._tokens[token_id]

    def token_str(self, token_id: int) -> str:
        """The token as text to look at: a leading space shows as ␣, a line break as ⏎."""
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
        """Read a byte-level BPE ``tokenizer.json``: our own, GPT-2's, SmolLM2's or Llama 3's.

        Raises:
            ValueError: the file is not such a tokenizer; the message says what is wrong.
        """
        from llmbook.tokenizers.hf import read_tokenizer_json

        return read_tokenizer_json(path)

    @classmethod
    def from_names(
        cls,
        names: Sequence[str],
        merges: Iterable[tuple[str, str]],
        special: Collection[str],
        split: str = "gpt2",
        end_of_text: str = END_OF_TEXT,
        ignore_merges: bool = False,
    ) -> BPETokenizer:
        """Build it from what files hold: tokens and merges spelled in GPT-2's alphabet.

        Raises:
            ValueError: names that stand twice, merges of unknown tokens, and as the class.
        """
        ids = {name: i for i, name in enumerate(names)}
        if len(ids) != len(names):
            raise ValueError(f"{len(names) - len(ids)} tokens stand twice in the vocabulary")
        unknown = [p for pair in merges for p in pair if p not in ids]
        if unknown:
            raise ValueError(f"a merge joins {unknown[0]!r}, which is no token")
        held = set(special)
        return cls(
            [(ids[left], ids[right]) for left, right in merges],
            tokens=[name.encode() if name in held else from_printable(name) for name in names],
            special={name: ids[name] for name in names if name in held},
            split=split,
            end_of_text=end_of_text,
            ignore_merges=ignore_merges,
        )

    def _encode_text(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in PATTERNS[self.split].findall(text):
            ids += self._encode_word(word) if len(word) <= LONGEST_KEPT else self._merge_word(word)
        return ids

    def _merge_word(self, word: str) -> list[int]:
        spelled = _utf8(word)
        if self.ignore_merges and spelled in self._ids:
            return [self._ids[spelled]]
        letters = (self._ids.get(spelled[i : i + 1], -1) for i in range(len(spelled)))
        return merge_word([letter for letter in letters if letter >= 0], self._ranks)


def _spell(merges: Sequence[Pair]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in BYTE_TO_CHAR]
    for rank, (left, right) in enumerate(merges):
        if not (0 <= left < 256 + rank and 0 <= right < 256 + rank):
            raise ValueError(
                f"merge {rank} joins ids {left} and {right}, but only "
                f"{256 + rank} tokens exist by then"
            )
        tokens.append(tokens[left] + tokens[right])
    return [*tokens, END_OF_TEXT.encode()]


def _ids_of_bytes(tokens: Sequence[bytes], special: Mapping[str, int]) -> dict[bytes, int]:
    for name, i in special.items():
        if not name or not 0 <= i < len(tokens):
            raise ValueError(f"the special token {name!r} has the id {i} of {len(tokens)} tokens")
    taken = set(special.values())
    return {token: i for i, token in enumerate(tokens) if i not in taken}


def _ranks(
    merges: Sequence[Pair], tokens: Sequence[bytes], ids: Mapping[bytes, int]
) -> dict[Pair, tuple[int, int]]:
    """Pair → (when it was learnt, the id of the two joined)."""
    try:
        return {(a, b): (rank, ids[tokens[a] + tokens[b]]) for rank, (a, b) in enumerate(merges)}
    except KeyError as joined:
        raise ValueError(f"a merge gives {joined.args[0]!r}, which is no token") from None


def _refuse_unreachable(ids: Mapping[bytes, int], ranks: Mapping[Pair, tuple[int, int]]) -> None:
    joined = {i for _, i in ranks.values()}
    lost = [token for token, i in ids.items() if len(token) != 1 and i not in joined]
    if lost:
        raise ValueError(f"{len(lost)} tokens, {lost[0]!r} among them, come from no merge")


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
