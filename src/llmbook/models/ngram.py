"""An n-gram model with interpolated modified Kneser–Ney smoothing, the strongest of its kind."""

from __future__ import annotations

import numpy as np

from llmbook.models.ngram_counts import (
    NONE,
    Ids,
    Level,
    Reals,
    Tokens,
    contexts_from,
    find,
    kneser_ney_discounts,
    number_ngrams,
    smooth,
    with_boundary,
)

__all__ = ["NGramModel", "kneser_ney_discounts"]


class NGramModel:
    """Predict a token from the n − 1 tokens before it by counting.

        p(w | context) = (c − D(c)) / Σ c  +  rest(context) · p(w | context without its first token)

    with c = c(context, w). The longest n-grams count how often they occur; the shorter ones
    count in how many different left neighbours they occur after (continuation counts), because
    they are asked only where the longer ones have little to say. Below the single token lies the
    uniform distribution over the vocabulary.

    A text is a stream of documents with the boundary token (end-of-text) after each, as
    `llmbook.datasets.load_tokens` returns it, and a boundary is thought to stand before it. No
    context reaches back beyond a boundary; n-grams that begin with one, having no left
    neighbour, keep their plain counts.

    Source: Chen and Goodman 1999 (what they call modified Kneser–Ney); plain counts after a
    boundary as in Heafield et al. 2013. Taught in chapter 4.
    """

    def __init__(
        self, order: int, vocab_size: int, boundary_id: int, levels: tuple[Level, ...]
    ) -> None:
        self.order = order
        self.vocab_size = vocab_size
        self.boundary_id = boundary_id
        self.levels = levels

    @classmethod
    def train(
        cls, tokens: Tokens, *, order: int = 5, vocab_size: int, boundary_id: int
    ) -> NGramModel:
        """Count a text.

        Args:
            tokens: ids (n_tokens,), documents each followed by ``boundary_id``.
            order: n, the length of the longest n-grams.
            vocab_size: number of token ids.
            boundary_id: the id between documents, usually end-of-text.

        Raises:
            ValueError: an order below 1, no tokens, or an id outside the vocabulary.
        """
        if order < 1:
            raise ValueError(f"order={order}: give at least 1 (a unigram model)")
        stream = with_boundary(tokens, vocab_size, boundary_id)
        if len(stream) < 2:
            raise ValueError("no tokens to count: give a text of at least one token")
        grams = number_ngrams(stream, order, vocab_size, boundary_id)
        return cls(order, vocab_size, boundary_id, smooth(grams, vocab_size))

    def log_prob(self, tokens: Tokens) -> Reals:
        """Natural logarithm of each token's probability given what stands before it, (n_tokens,).

        A boundary is thought to stand before the first token, and no context reaches back beyond
        a boundary, so documents joined by boundaries may be scored in one call.
        """
        stream = with_boundary(tokens, self.vocab_size, self.boundary_id)
        words = stream[1:]
        p = np.full(len(words), 1.0 / self.vocab_size)
        context = np.zeros(len(words), dtype=np.int64)  # at first the empty context, number 0
        for length, level in enumerate(self.levels, start=1):
            known = context != NONE
            found = np.where(known, find(level.keys, context * self.vocab_size + words), NONE)
            p = np.where(known, level.rest[context], 1.0) * p
            p += np.where(found != NONE, level.share[found], 0.0)
            context = contexts_from(found, stream, self.boundary_id, length)
        return np.log(p)

    def next_token_distribution(self, context: Tokens = ()) -> Reals:
        """Probabilities of the token after ``context``, (vocab_size,). They sum to 1.

        Only what follows the last boundary in ``context`` (and the boundary itself) matters; an
        empty context is the beginning of a document.
        """
        history = with_boundary(context, self.vocab_size, self.boundary_id)
        begin = int(np.flatnonzero(history == self.boundary_id)[-1])
        history = history[max(begin, len(history) - self.order + 1) :]
        p = np.full(self.vocab_size, 1.0 / self.vocab_size)
        for length, level in enumerate(self.levels[: len(history) + 1]):
            number = self._number_of(history[len(history) - length :])
            if number == NONE:
                break
            first, last = np.searchsorted(
                level.keys, [number * self.vocab_size, (number + 1) * self.vocab_size]
            )
            p = level.rest[number] * p
            p[level.keys[first:last] - number * self.vocab_size] += level.share[first:last]
        return p

    def sample(self, n_tokens: int, *, context: Tokens = (), seed: int = 0) -> list[int]:
        """Draw up to ``n_tokens`` ids, one after the other; stop after drawing a boundary."""
        generator = np.random.default_rng(seed)
        ids = [int(i) for i in np.asarray(context, dtype=np.int64)]
        n_given = len(ids)
        while len(ids) - n_given < n_tokens:
            cumulative = np.cumsum(self.next_token_distribution(ids))
            ids.append(int(np.searchsorted(cumulative, generator.random() * cumulative[-1])))
            if ids[-1] == self.boundary_id:
                break
        return ids[n_given:]

    def n_ngrams(self) -> list[int]:
        """How many different n-grams of each length, 1 to the order, were counted."""
        return [int(np.count_nonzero(level.counts)) for level in self.levels]

    def _number_of(self, tokens: Ids) -> int:
        number = 0
        for level, token in zip(self.levels, tokens, strict=False):
            number = int(find(level.keys, np.array([number * self.vocab_size + token]))[0])
            if number == NONE:
                return NONE
        return number
