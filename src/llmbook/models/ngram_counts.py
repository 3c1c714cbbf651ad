"""Counting and discounting n-grams: what stands behind `llmbook.models.ngram`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[int] | np.ndarray
Ids = NDArray[np.int64]
Reals = NDArray[np.float64]

NONE = -1  # no n-gram of this length here: it would cross a boundary, or was never seen


@dataclass(frozen=True)
class Level:
    """The n-grams of one length. Those with the same context lie next to each other.

    An n-gram is known by its key, (number of its context among the shorter n-grams) ·
    vocabulary size + last token; its own number is its place in the sorted keys.

    Attributes:
        keys: (n_grams,), sorted.
        counts: (n_grams,) adjusted counts.
        discounts: D₁, D₂ and D₃₊, taken from counts of 1, 2, and 3 or more.
        share: (n_grams,) what is left of each after the discount, over its context's total.
        rest: (n_contexts,) the probability taken from the seen n-grams of each context, which
            goes to the shorter n-grams; 1 for a context without any.
    """

    keys: Ids
    counts: Ids
    discounts: tuple[float, float, float]
    share: Reals
    rest: Reals


@dataclass(frozen=True)
class Grams:
    """The n-grams of one length as they were found: see `Level`, before smoothing."""

    keys: Ids
    occurrences: Ids
    shorter: Ids  # number of the n-gram without its first token
    at_boundary: NDArray[np.bool_]  # it begins with a boundary, so nothing stands before it


def with_boundary(tokens: Tokens, vocab_size: int, boundary_id: int) -> Ids:
    """The tokens with a boundary before them."""
    ids = np.asarray(tokens, dtype=np.int64)
    if ids.ndim != 1:
        raise ValueError(f"tokens: expected one row of ids, got shape {ids.shape}")
    for token in (boundary_id, *(() if len(ids) == 0 else (ids.min(), ids.max()))):
        if not 0 <= token < vocab_size:
            raise ValueError(f"token id {token} is outside the vocabulary of {vocab_size}")
    return np.concatenate([[boundary_id], ids])


def contexts_from(found: Ids, stream: Ids, boundary_id: int, length: int) -> Ids:
    """For each word the number of the n-gram that ends just before it, or none.

    ``found`` has the n-gram of this length that ends with each word. One that ends in a boundary
    ends a document and says nothing about the next; only the lone boundary does.
    """
    first = boundary_id if length == 1 else NONE  # before the first word stands a boundary
    context = np.concatenate([[first], found[:-1]])
    if length > 1:
        context[stream[:-1] == boundary_id] = NONE
    return context


def number_ngrams(stream: Ids, order: int, vocab_size: int, boundary_id: int) -> list[Grams]:
    """Find and number the different n-grams of each length up to ``order``."""
    words = stream[1:]
    grams: list[Grams] = []
    context = shorter = np.zeros(len(words), dtype=np.int64)
    for length in range(1, order + 1):
        places = np.flatnonzero(context != NONE)
        keys, first, inverse, occurrences = np.unique(
            context[places] * vocab_size + words[places],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        first = places[first]
        begins = stream[first + 1 - (length - 1)] == boundary_id
        grams.append(Grams(keys, occurrences, shorter[first], begins & (length > 1)))
        if length == 1:  # unseen tokens are numbered too, so that a token's number is its id
            inverse, grams = words, [_all_tokens(grams[0], vocab_size)]
        shorter = np.full(len(words), NONE, dtype=np.int64)
        shorter[places] = inverse
        context = contexts_from(shorter, stream, boundary_id, length)
    return grams


def _all_tokens(seen: Grams, vocab_size: int) -> Grams:
    occurrences = np.zeros(vocab_size, dtype=np.int64)
    occurrences[seen.keys] = seen.occurrences
    nothing = np.zeros(vocab_size, dtype=np.int64)
    return Grams(np.arange(vocab_size), occurrences, nothing, nothing.astype(bool))


def smooth(grams: list[Grams], vocab_size: int) -> tuple[Level, ...]:
    levels = []
    n_contexts = 1
    for i, gram in enumerate(grams):
        counts = gram.occurrences
        if i + 1 < len(grams):
            neighbours = np.bincount(grams[i + 1].shorter, minlength=len(gram.keys))
            counts = np.where(gram.at_boundary, counts, neighbours)
        levels.append(_discount(gram.keys, counts, vocab_size, n_contexts))
        n_contexts = len(gram.keys)
    return tuple(levels)


def _discount(keys: Ids, counts: Ids, vocab_size: int, n_contexts: int) -> Level:
    context = keys // vocab_size
    discounts = kneser_ney_discounts(counts)
    taken = np.array([0.0, *discounts])[np.minimum(counts, 3)]
    total = np.bincount(context, weights=counts, minlength=n_contexts)
    seen = total > 0
    total[~seen] = 1.0  # a context without n-grams: share 0, and the rest is everything
    rest = np.bincount(context, weights=taken, minlength=n_contexts) / total
    rest[~seen] = 1.0
    return Level(keys, counts, discounts, (counts - taken) / total[context], rest)


def kneser_ney_discounts(counts: Tokens) -> tuple[float, float, float]:
    """D₁, D₂, D₃₊: what to take from n-grams counted once, twice, and more often.

        Y = n₁/(n₁ + 2n₂),  D₁ = 1 − 2Y n₂/n₁,  D₂ = 2 − 3Y n₃/n₂,  D₃₊ = 3 − 4Y n₄/n₃

    where n_k is how many n-grams have the count k. Where the counts are too few to tell (some n_k
    is 0, or a discount falls outside 0 … k) the fixed discounts ½, 1, 1½ are used.

    Source: Chen and Goodman 1999, the discounts of modified Kneser–Ney smoothing.
    """
    n1, n2, n3, n4 = (
        int(n) for n in np.bincount(np.minimum(np.asarray(counts), 5), minlength=6)[1:5]
    )
    if min(n1, n2, n3) > 0:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 < d <= k for k, d in enumerate(found, start=1)):
            return found
    return 0.5, 1.0, 1.5


def find(keys: Ids, wanted: Ids) -> Ids:
    """The places of ``wanted`` in the sorted ``keys``; none for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NONE)
