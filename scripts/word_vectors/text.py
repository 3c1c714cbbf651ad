"""The corpus as numbered words, and its co-occurrence counts."""

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llmbook.datasets import load_corpus

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]
OUTSIDE = -1


def words_of(text: str) -> list[str]:
    """Lower-case words of a text; marks, figures and a possessive 's are left out."""
    plain = re.sub(r"'s\b", "", text.lower().replace("’", "'"))
    return re.findall(r"[a-z]+(?:'[a-z]+)?", plain)


def read_corpus(min_count: int) -> tuple[list[str], Ids, list[Ids]]:
    """Vocabulary (most frequent first), its counts, and the training documents as ids.

    Words that occur fewer than ``min_count`` times are dropped before windows are cut, as the
    code of Mikolov et al. 2013 does.
    """
    texts = [words_of(d.text) for d in load_corpus("train")]
    counts = Counter(word for text in texts for word in text)
    kept = sorted((w for w, c in counts.items() if c >= min_count), key=lambda w: (-counts[w], w))
    number = {w: i for i, w in enumerate(kept)}
    documents = [np.array([number[w] for w in t if w in number], dtype=np.int64) for t in texts]
    return kept, np.array([counts[w] for w in kept]), [d for d in documents if len(d) > 1]


def joined(documents: list[Ids], window: int) -> Ids:
    """One row of ids, with ``window`` times OUTSIDE between documents: no pair spans two."""
    gap = np.full(window, OUTSIDE, dtype=np.int64)
    return np.concatenate([part for d in documents for part in (gap, d)] + [gap])


def neighbours(stream: Ids, window: int) -> Iterator[tuple[int, Ids, Ids]]:
    """For each distance 1 … window: the distance, and all pairs (left word, right word)."""
    for distance in range(1, window + 1):
        left, right = stream[:-distance], stream[distance:]
        inside = (left != OUTSIDE) & (right != OUTSIDE)
        yield distance, left[inside], right[inside]


def cooccurrences(stream: Ids, n_words: int, window: int, weight: str) -> tuple[Ids, Ids, Reals]:
    """Rows, columns and weighted counts of the symmetric co-occurrence matrix.

    Args:
        weight: ``harmonic`` counts a pair at distance δ as 1/δ (Pennington et al. 2014, section
            4.2); ``linear`` as (window + 1 − δ)/window, the mean of word2vec's random windows.
    Raises:
        ValueError: another weight.
    """
    if weight not in ("harmonic", "linear"):
        raise ValueError(f"weight={weight!r}: choose harmonic or linear")
    total: dict[str, list[NDArray]] = {"key": [], "value": []}
    for distance, left, right in neighbours(stream, window):
        share = 1 / distance if weight == "harmonic" else (window + 1 - distance) / window
        keys, n = np.unique(left * n_words + right, return_counts=True)
        total["key"] += [keys, keys % n_words * n_words + keys // n_words]
        total["value"] += [n * share] * 2
    keys, where = np.unique(np.concatenate(total["key"]), return_inverse=True)
    values = np.bincount(where, weights=np.concatenate(total["value"])).astype(np.float64)
    return keys // n_words, keys % n_words, values
