"""The n-gram model is Chen and Goodman's formula, and a probability distribution."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest

from llmbook.models.ngram import NGramModel, kneser_ney_discounts

BOUNDARY, A, B = 0, 1, 2
V = 7


def documents(n_documents: int = 23, seed: int = 0) -> list[list[int]]:
    """Seeded documents over ids 1 … 6, with enough repetition for every count to occur."""
    generator = np.random.default_rng(seed)
    weights = np.array([8, 5, 3, 2, 1, 1]) / 20
    lengths = generator.integers(0, 31, n_documents)
    return [generator.choice(np.arange(1, V), length, p=weights).tolist() for length in lengths]


def joined(texts: list[list[int]]) -> list[int]:
    return [token for text in texts for token in (*text, BOUNDARY)]


@pytest.fixture(scope="module")
def model() -> NGramModel:
    return NGramModel.train(joined(documents()), order=4, vocab_size=V, boundary_id=BOUNDARY)


def reference_discount(counts: Counter, count: int) -> Fraction:
    """The discounts with fractions, the fixed discounts where it cannot be used."""
    n = Counter(counts.values())
    fixed = (Fraction(1, 2), Fraction(1), Fraction(3, 2))
    if 0 in (n[1], n[2], n[3]):
        return fixed[min(count, 3) - 1]
    y = Fraction(n[1], n[1] + 2 * n[2])
    found = [k - (k + 1) * y * Fraction(n[k + 1], n[k]) for k in (1, 2, 3)]
    good = all(0 < d <= k for k, d in enumerate(found, start=1))
    return (found if good else fixed)[min(count, 3) - 1]


class Reference:
    """The same model from dictionaries and fractions, word by word as the paper defines it."""

    def __init__(self, texts: list[list[int]], order: int) -> None:
        occurrences: dict[int, Counter] = defaultdict(Counter)
        for text in texts:
            stream = (BOUNDARY, *text, BOUNDARY)
            for end in range(1, len(stream)):
                for length in range(1, min(order, end + 1) + 1):
                    occurrences[length][stream[end + 1 - length : end + 1]] += 1
        self.counts: dict[int, Counter] = {order: occurrences[order]}
        for length in range(1, order):
            neighbours = Counter(gram[1:] for gram in occurrences[length + 1])
            plain = {
                g: c for g, c in occurrences[length].items() if length > 1 and g[0] == BOUNDARY
            }
            self.counts[length] = Counter({**neighbours, **plain})
        self.order = order

    def probability(self, context: tuple[int, ...], word: int) -> Fraction:
        context = context[max(0, len(context) + 1 - self.order) :]
        shorter = Fraction(1, V) if not context else self.probability(context[1:], word)
        counts = self.counts[len(context) + 1]
        followers = {g: c for g, c in counts.items() if g[:-1] == context}
        total = sum(followers.values())
        if total == 0:
            return shorter
        taken = sum(reference_discount(counts, c) for c in followers.values())
        own = counts[(*context, word)]
        share = (own - reference_discount(counts, own)) / total if own else Fraction(0)
        return share + Fraction(taken, total) * shorter


def test_the_discounts_are_those_of_equation_26_worked_by_hand():
    counts = [1] * 4 + [2] * 2 + [3] + [4]  # n1 … n4 = 4, 2, 1, 1, so Y = 4 / 8
    assert kneser_ney_discounts(counts) == (0.5, 1.25, 1.0)


def test_too_few_counts_for_equation_26_give_the_fixed_discounts():
    assert kneser_ney_discounts([1, 1, 2]) == (0.5, 1.0, 1.5)


def test_a_bigram_model_of_one_short_document_is_as_worked_by_hand():
    model = NGramModel.train([A, B, A, BOUNDARY], order=2, vocab_size=3, boundary_id=BOUNDARY)
    # Left neighbours: a has 2 (start, b), b and the end have 1 (a). D = ½, 1.
    # p(a) = (2-1)/4 + ½·⅓ = 5/12;  p(b) = p(end) = (1-½)/4 + ½·⅓ = 7/24.
    # After a, both b and the end were seen once: p(b | a) = ½/2 + ½·7/24 = 19/48.
    expected = np.array([19, 10, 19]) / 48
    np.testing.assert_allclose(model.next_token_distribution([A]), expected, atol=1e-15)
    np.testing.assert_allclose(model.next_token_distribution()[A], 1 / 2 + 5 / 24, atol=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_probability_equals_the_definition_computed_with_fractions(order):
    texts = documents()
    model = NGramModel.train(joined(texts), order=order, vocab_size=V, boundary_id=BOUNDARY)
    reference = Reference(texts, order)
    for context in [(), (1,), (1, 2), (6, 6, 6), (2, 1, 1, 2, 5), tuple(texts[3])]:
        expected = [float(reference.probability((BOUNDARY, *context), w)) for w in range(V)]
        np.testing.assert_allclose(model.next_token_distribution(context), expected, atol=1e-12)


def test_the_probabilities_after_any_context_sum_to_one(model):
    generator = np.random.default_rng(1)
    for length in range(13):
        p = model.next_token_distribution(generator.integers(0, V, length))
        assert p.min() > 0
        assert p.sum() == pytest.approx(1, abs=1e-12)


def test_scoring_a_text_at_once_equals_asking_for_each_token(model):
    tokens = joined(documents(5, seed=2))
    one_by_one = [
        np.log(model.next_token_distribution(tokens[:i])[token]) for i, token in enumerate(tokens)
    ]
    np.testing.assert_allclose(model.log_prob(tokens), one_by_one, atol=1e-12)


def test_no_context_reaches_back_beyond_a_boundary(model):
    first, second = documents(2, seed=3)
    together = model.log_prob(joined([first, second]))
    alone = np.concatenate([model.log_prob(joined([d])) for d in (first, second)])
    np.testing.assert_array_equal(together, alone)


def test_the_order_of_the_documents_does_not_matter(model):
    other = NGramModel.train(joined(documents()[::-1]), order=4, vocab_size=V, boundary_id=BOUNDARY)
    tokens = joined(documents(5, seed=4))
    np.testing.assert_array_equal(model.log_prob(tokens), other.log_prob(tokens))


def test_a_token_that_was_never_seen_still_has_a_probability():
    model = NGramModel.train([1, 2, 1, 0], order=3, vocab_size=11, boundary_id=0)
    assert np.isfinite(model.log_prob([10, 10, 3])).all()


def test_a_longer_context_predicts_its_own_text_better():
    tokens = joined(documents())
    losses = [
        -NGramModel.train(tokens, order=n, vocab_size=V, boundary_id=BOUNDARY)
        .log_prob(tokens)
        .mean()
        for n in (1, 2, 3, 4)
    ]
    assert losses == sorted(losses, reverse=True)


def test_samples_repeat_with_their_seed_and_stop_at_a_boundary(model):
    samples = [model.sample(50, context=[1, 2], seed=seed) for seed in range(20)]
    assert samples == [model.sample(50, context=[1, 2], seed=seed) for seed in range(20)]
    assert all(BOUNDARY not in sample[:-1] for sample in samples)
    assert any(sample[-1] == BOUNDARY for sample in samples)


def test_samples_follow_the_distribution():
    model = NGramModel.train(joined(documents()), order=2, vocab_size=V, boundary_id=BOUNDARY)
    draws = Counter(model.sample(1, seed=seed)[0] for seed in range(3000))
    frequencies = np.array([draws[token] for token in range(V)]) / 3000
    np.testing.assert_allclose(frequencies, model.next_token_distribution(), atol=0.04)


@pytest.mark.parametrize(
    ("tokens", "order", "complaint"),
    [
        ([1, 7], 3, "token id 7 is outside the vocabulary of 7"),
        ([-1, 2], 3, "token id -1 is outside"),
        ([1, 2], 0, "order=0"),
        ([], 3, "no tokens"),
        (np.array([[1, 2]]), 3, "one row of ids"),
    ],
)
def test_what_cannot_be_counted_is_refused(tokens, order, complaint):
    with pytest.raises(ValueError, match=complaint):
        NGramModel.train(tokens, order=order, vocab_size=V, boundary_id=BOUNDARY)


def test_a_sample_without_a_seed_is_that_of_seed_zero():
    model = NGramModel.train([1, 2, 3, 1, 3, 2, 1, 1, 2] * 5, order=2, vocab_size=4, boundary_id=0)
    assert model.sample(30) == model.sample(30, seed=0)
    assert model.sample(30) != model.sample(30, seed=1)
