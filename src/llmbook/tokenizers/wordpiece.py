"""WordPiece: BERT's tokenizer, which spells a word with the longest pieces that it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import regex
import torch
from torch import Tensor

from llmbook.tokenizers.wordpiece_training import alphabet, learn_pieces
from llmbook.tokenizers.words import split_words

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_WORD_CHARACTERS = 100
"""A longer word is read as [UNK], as in the published BERT."""


class Encoded(NamedTuple):
    """Texts ready for an encoder, padded at the right; all (B, T).

    ``types`` is 0 in the first text and 1 in the second; ``mask`` is True at a token and
    False at padding.
    """

    ids: Tensor
    types: Tensor
    mask: Tensor


class WordPieceTokenizer:
    """A vocabulary of whole words, beginnings of words, and ``##`` continuations.

    Text is cut into words (`split_words`); each word is spelled from the left, every time with
    the longest piece in the vocabulary. A word that cannot be spelled is [UNK]. Case, accents
    and spaces are lost.

    Args:
        vocab: the pieces in the order of their ids, with the five special tokens among them.
        lowercase, strip_accents, space_chinese: see `split_words`.

    Raises:
        ValueError: a piece twice, or a special token missing.

    Source: Schuster and Nakajima 2012; Devlin et al. 2019. Taught in chapter 3.
    """

    def __init__(
        self,
        vocab: Sequence[str],
        lowercase: bool = True,
        strip_accents: bool | None = None,
        space_chinese: bool = True,
    ) -> None:
        self.vocab = list(vocab)
        self.lowercase, self.strip_accents = lowercase, strip_accents
        self.space_chinese = space_chinese
        self._ids = {piece: i for i, piece in enumerate(self.vocab)}
        if len(self._ids) != len(self.vocab):
            twice = Counter(self.vocab).most_common(1)[0][0]
            raise ValueError(f"the vocabulary has {twice!r} twice: give each piece once")
        missing = [token for token in SPECIAL if token not in self._ids]
        if missing:
            raise ValueError(f"the vocabulary lacks {', '.join(missing)}: add {SPECIAL} to it")
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self._ids[token] for token in SPECIAL
        )
        self._encode_word = lru_cache(maxsize=100_000)(self._spell)

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        vocab_size: int,
        lowercase: bool = True,
        score: str = "gain",
        min_count: int = 2,
    ) -> WordPieceTokenizer:
        """Learn a vocabulary: the special tokens, the characters, then the joined pairs.

        Args:
            text: one text or several.
            vocab_size: how many pieces at most.
            lowercase: also take accents off.
            score, min_count: how a pair is chosen; see `learn_pieces`.

        Raises:
            ValueError: a vocabulary too small for the special tokens and the characters.
        """
        texts = [text] if isinstance(text, str) else text
        words = Counter(word for line in texts for word in split_words(line, lowercase))
        first = [*SPECIAL, *alphabet(words)]
        if vocab_size < len(first):
            raise ValueError(
                f"vocab_size={vocab_size}: give at least {len(first)}, for the special tokens and "
                "the characters of this text"
            )
        learnt = learn_pieces(words, vocab_size - len(first), score, min_count)
        return cls([*first, *learnt], lowercase)

    @property
    def vocab_size(self) -> int:
        """Number of pieces, the special tokens among them."""
        return len(self.vocab)

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """Ids of a text's pieces, without [CLS] and [SEP].

        Args:
            text: any text; special tokens in it are read as signs and letters.
            allowed_special: special tokens to look for, such as ``["[MASK]"]``, or ``"all"``.
                Never allow them in text that somebody else wrote.

        Raises:
            ValueError: an allowed token is none of the special ones.
        """
        if not allowed_special:
            return [i for word in self._words(text) for i in self._encode_word(word)]
        names = set(SPECIAL if allowed_special == "all" else allowed_special)
        if names - set(SPECIAL):
            raise ValueError(f"{min(names - set(SPECIAL))!r} is none of {SPECIAL}")
        ids: list[int] = []
        for part in regex.split(f"({'|'.join(map(regex.escape, sorted(names)))})", text):
            ids += [self._ids[part]] if part in names else self.encode(part)
        return ids

    def encode_pair(
        self,
        first: str,
        second: str | None = None,
        *,
        max_length: int | None = None,
        allowed_special: Collection[str] = (),
    ) -> tuple[list[int], list[int]]:
        """[CLS] first [SEP], or [CLS] first [SEP] second [SEP], with the type of each token.

        Args:
            first, second: the texts.
            max_length: cut to so many tokens, the longer text first, from its end.
            allowed_special: see `encode`.

        Returns:
            Ids and types, two lists of one length. Types are 0, and 1 in the second text.

        Source: Devlin et al. 2019, figure 2.
        """
        a = self.encode(first, allowed_special)
        if second is None:
            a = a[: _room(max_length, 2)]
            return [self.cls_id, *a, self.sep_id], [0] * (len(a) + 2)
        b = self.encode(second, allowed_special)
        n_a, n_b = _shares(len(a), len(b), _room(max_length, 3))
        a, b = a[:n_a], b[:n_b]
        ids = [self.cls_id, *a, self.sep_id, *b, self.sep_id]
        return ids, [0] * (len(a) + 2) + [1] * (len(b) + 1)

    def encode_batch(
        self,
        texts: Iterable[str | tuple[str, str]],
        *,
        max_length: int | None = None,
        allowed_special: Collection[str] = (),
    ) -> Encoded:
        """Texts, or pairs of texts, side by side, padded with [PAD] to the longest.

        Raises:
            ValueError: no text at all.
        """
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        if not pairs:
            raise ValueError("texts is empty: give at least one text")
        rows = [
            self.encode_pair(a, b, max_length=max_length, allowed_special=allowed_special)
            for a, b in pairs
        ]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), self.pad_id)
        types = torch.zeros_like(ids)
        for b, (row_ids, row_types) in enumerate(rows):
            ids[b, : len(row_ids)] = torch.tensor(row_ids)
            types[b, : len(row_ids)] = torch.tensor(row_types)
        lengths = torch.tensor([len(row_ids) for row_ids, _ in rows])
        return Encoded(ids, types, torch.arange(longest) < lengths[:, None])

    def decode(self, ids: Iterable[int], keep_special: bool = False) -> str:
        """The pieces, a space before each word; case, accents and spaces do not come back.

        Special tokens but [UNK] are left out, or written with ``keep_special``.
        """
        marks = {self.pad_id, self.cls_id, self.sep_id, self.mask_id}
        left_out = frozenset() if keep_special else marks
        return " ".join(self.token_str(i) for i in ids if i not in left_out).replace(" ##", "")

    def token_str(self, token_id: int) -> str:
        """The piece of an id, with its ``##``.

        Raises:
            ValueError: an id outside the vocabulary.
        """
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}")
        return self.vocab[token_id]

    def save(self, path: str | Path) -> None:
        """Write ``vocab.txt``, or, by any other name, a Hugging Face ``tokenizer.json``."""
        from llmbook.tokenizers.wordpiece_files import write_wordpiece

        write_wordpiece(self, path)

    @classmethod
    def load(cls, path: str | Path, lowercase: bool = True) -> WordPieceTokenizer:
        """Read ``vocab.txt`` (one piece a line) or a WordPiece ``tokenizer.json``.

        Args:
            path: the file; a name that ends in .txt is read as lines.
            lowercase: for vocab.txt, which does not say; ignored for tokenizer.json.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not such a tokenizer; the message says what is wrong.
        """
        from llmbook.tokenizers.wordpiece_files import read_wordpiece

        vocab, settings = read_wordpiece(path)
        try:
            return cls(vocab, **({"lowercase": lowercase} | settings))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _words(self, text: str) -> list[str]:
        return split_words(text, self.lowercase, self.strip_accents, self.space_chinese)

    def _spell(self, word: str) -> list[int]:
        if len(word) > MAX_WORD_CHARACTERS:
            return [self.unk_id]
        ids: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(len(word), start, -1):
                if (found := self._ids.get(mark + word[start:end])) is not None:
                    break
            else:
                return [self.unk_id]
            ids.append(found)
            start = end
        return ids


def _room(max_length: int | None, n_special: int) -> int | None:
    if max_length is not None and max_length < n_special:
        raise ValueError(
            f"max_length={max_length}: give at least {n_special}, for [CLS] and each [SEP]"
        )
    return None if max_length is None else max_length - n_special


def _shares(n_a: int, n_b: int, room: int | None) -> tuple[int, int]:
    """How many tokens of each text stay: the longer gives way until both have half."""
    if room is None or n_a + n_b <= room:
        return n_a, n_b
    short = min(n_a, n_b, room // 2)
    return (short, room - short) if n_a <= n_b else (room - short, short)
