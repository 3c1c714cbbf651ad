"""Which two pieces to join next, so that the text becomes more probable."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from llmbook.tokenizers.merging import Pair, join_pair


def alphabet(words: Mapping[str, int]) -> list[str]:
    """Every character that begins a word, and, with ``##``, every one that goes on with it."""
    return sorted({piece for word in words for piece in spell_in_characters(word)})


def spell_in_characters(word: str) -> list[str]:
    """A word's characters, all but the first marked: ``["h", "##u", "##g"]``."""
    return [word[0], *(f"##{char}" for char in word[1:])]


def learn_pieces(
    words: Mapping[str, int], n_pieces: int, score: str = "gain", min_count: int = 2
) -> list[str]:
    """Join the pair with the highest score, again and again; return the joined pieces.

    With counts in the text as it is spelled so far, N pieces in all:

    - ``gain``: count(ab) · log(N · count(ab) / (count(a) · count(b))), by how much the logarithm
      of the text's likelihood grows while all other shares are held fixed. It favours frequent
      pairs.
    - ``ratio``: count(ab) / (count(a) · count(b)). Up to the factor N it is p(ab) / p(a) p(b),
      by which one occurrence of the pair becomes more probable. It favours rare pieces, and
      spells a text in more tokens.

    Among equal scores the pair that was seen first wins.

    Args:
        words: how often each word occurs.
        n_pieces: how many to learn; fewer where no pair occurs ``min_count`` times.
        score: which of the two.
        min_count: a pair that occurs less often is not joined.

    Source: Schuster and Nakajima 2012, section 4 (the gain in likelihood); the ratio is
    what the Hugging Face course describes. Taught in chapter 3.
    """
    if score not in ("ratio", "gain"):
        raise ValueError(f"score={score!r}: choose 'ratio' or 'gain'")
    pieces = alphabet(words)
    ids = {piece: i for i, piece in enumerate(pieces)}
    spellings = [[ids[piece] for piece in spell_in_characters(word)] for word in words]
    table = _PairTable(spellings, list(words.values()), len(pieces) + n_pieces)
    learnt: list[str] = []
    while len(learnt) < n_pieces:
        pair = table.best(score, min_count)
        if pair is None:
            break
        joined = pieces[pair[0]] + pieces[pair[1]].removeprefix("##")
        if joined not in ids:  # h + ##ug may have given it before hu + ##g does
            ids[joined] = len(pieces)
            pieces.append(joined)
            learnt.append(joined)
        table.join(pair, ids[joined])
    return learnt


class _PairTable:
    """Counts of pieces and pairs, as columns, so that all scores are one line of arithmetic."""

    def __init__(self, spellings: list[list[int]], times: list[int], most_pieces: int) -> None:
        self.spellings, self.times = spellings, times
        self.piece_count = np.zeros(most_pieces, dtype=np.int64)
        self.row: dict[Pair, int] = {}
        self.where: dict[Pair, set[int]] = defaultdict(set)
        self.left, self.right, self.count = np.zeros((3, 1024), dtype=np.int64)
        for w in range(len(spellings)):
            self._add(w, +1)

    def best(self, score: str, min_count: int) -> Pair | None:
        """The pair with the highest score, or None where none occurs often enough."""
        used = slice(0, len(self.row))
        count = self.count[used].astype(float)
        apart = self.piece_count[self.left[used]] * self.piece_count[self.right[used]]
        rows = np.flatnonzero(count >= min_count)
        if not len(rows):
            return None
        scores = count[rows] / apart[rows]
        if score == "gain":
            scores = count[rows] * np.log(self.piece_count.sum() * scores)
        i = int(rows[scores.argmax()])
        return int(self.left[i]), int(self.right[i])

    def join(self, pair: Pair, new_id: int) -> None:
        """Spell every word that holds the pair with the new piece, and count it anew."""
        for w in sorted(self.where.pop(pair)):
            self._add(w, -1)
            self.spellings[w] = join_pair(self.spellings[w], pair, new_id)
            self._add(w, +1)

    def _add(self, w: int, sign: int) -> None:
        spelling, times = self.spellings[w], sign * self.times[w]
        for piece, n in Counter(spelling).items():
            self.piece_count[piece] += n * times
        for pair in itertools.pairwise(spelling):
            row = self._row_of(pair)  # first: it may replace the columns by longer ones
            self.count[row] += times
            if sign > 0:
                self.where[pair].add(w)

    def _row_of(self, pair: Pair) -> int:
        i = self.row.setdefault(pair, len(self.row))
        if i == len(self.count):
            self.left, self.right, self.count = (
                np.concatenate([column, np.zeros_like(column)])
                for column in (self.left, self.right, self.count)
            )
        self.left[i], self.right[i] = pair
        return i
