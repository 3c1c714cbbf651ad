"""Held-out numbers: every token scored once with real context, and honest intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from llmbook.config import GPTConfig
from llmbook.datasets import SOURCES, Document
from llmbook.evaluate import (
    bits_per_byte,
    bits_per_byte_by_source,
    bootstrap_interval,
    document_nats,
    evaluate_loss,
    heldout_documents,
    paired_bootstrap,
    token_nats,
)
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer

V, T = 13, 11


class CopyModel:
    """Gives the last token it reads the logit ``strength``, whatever stands before it."""

    def __init__(self, strength: float = 2.0) -> None:
        self.strength = strength
        self.longest = 0

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        self.longest = max(self.longest, ids.shape[1])
        return self.strength * torch.nn.functional.one_hot(ids, V).float()


@pytest.fixture(scope="module")
def gpt() -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=V, context_length=T, n_layer=2, n_head=2, d_model=8)
    return GPT(config).eval()


def tokens(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, n)


def test_a_uniform_model_loses_the_logarithm_of_the_vocabulary():
    loss = evaluate_loss(CopyModel(0.0), tokens(101), context_length=T)
    assert loss == pytest.approx(math.log(V), abs=1e-6)


def test_the_loss_of_a_model_that_repeats_is_as_worked_by_hand():
    ids = [5, 5, 5, 7, 7, 5]  # 3 repetitions, 2 changes
    right, wrong = (math.log(math.e**2 + V - 1) - score for score in (2, 0))
    loss = evaluate_loss(CopyModel(), ids, context_length=3, stride=2)
    assert loss == pytest.approx((3 * right + 2 * wrong) / 5, abs=1e-6)


def test_a_text_that_fits_into_the_context_is_scored_in_one_pass(gpt):
    ids = tokens(T + 1)
    logits = gpt(torch.from_numpy(ids[None, :-1]))
    expected = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(ids[1:]))
    assert evaluate_loss(gpt, ids) == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("stride", [1, 4, 7, T])
def test_every_token_is_scored_with_the_context_that_the_stride_promises(gpt, stride):
    ids = tokens(37, seed=1)
    nats = token_nats(gpt, [ids], stride=stride)[0]
    for t in range(1, len(ids)):
        possible = set()
        for reach in range(min(t, T - stride + 1), min(t, T) + 1):
            with torch.no_grad():
                logits = gpt(torch.from_numpy(ids[None, t - reach : t]))[0, -1]
            possible.add(round(-torch.log_softmax(logits, -1)[ids[t]].item(), 4))
        assert min(abs(nats[t - 1] - p) for p in possible) < 2e-4, t


def test_no_window_is_longer_than_the_context():
    model = CopyModel()
    token_nats(model, [tokens(n) for n in (2, 12, 13, 97)], context_length=T, stride=5)
    assert model.longest == T


def test_batching_and_padding_change_no_loss(gpt):
    sequences = [tokens(n, seed=n) for n in (2, 3, 5, 12, 17, 40)]
    together = token_nats(gpt, sequences, batch_size=7)
    for sequence, nats in zip(sequences, together, strict=True):
        np.testing.assert_allclose(nats, token_nats(gpt, [sequence])[0], atol=1e-5)


def test_measuring_leaves_the_training_mode_as_it_was():
    config = GPTConfig(vocab_size=V, context_length=T, n_layer=1, n_head=1, d_model=4, dropout=0.5)
    model = GPT(config).train()
    assert evaluate_loss(model, tokens(40)) == evaluate_loss(model, tokens(40))
    assert model.training


def test_a_document_is_charged_for_its_end():
    tokenizer = BPETokenizer.train("", 257)
    documents = [Document("austen", "a", "ab"), Document("austen", "b", "")]
    uniform = lambda ids: torch.zeros(*ids.shape, 257)  # noqa: E731
    nats = document_nats(uniform, documents, tokenizer, context_length=T)
    np.testing.assert_allclose(nats, np.array([3, 1]) * math.log(257), rtol=1e-6)


@pytest.mark.parametrize(
    ("sequence", "stride", "complaint"),
    [(tokens(30), 0, "stride=0"), (tokens(30), T + 1, "stride=12"), (tokens(1), 3, "fewer than 2")],
)
def test_windows_that_cannot_be_are_refused(sequence, stride, complaint):
    with pytest.raises(ValueError, match=complaint):
        token_nats(CopyModel(), [sequence], context_length=T, stride=stride)


def test_eight_bits_for_a_byte_are_what_a_uniform_model_over_bytes_needs():
    assert bits_per_byte(5 * math.log(256), 5) == pytest.approx(8)
    assert bits_per_byte([math.log(2), 0.0], [1, 1]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="0 bytes"):
        bits_per_byte(1.0, 0)


def test_documents_that_agree_leave_no_interval():
    assert bootstrap_interval([2.0, 4.0, 6.0], [1, 2, 3]) == (2.0, 2.0, 2.0)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(size=400)
    estimate, low, high = bootstrap_interval(values, seed=1)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert estimate == pytest.approx(values.mean())
    assert (estimate - low, high - estimate) == pytest.approx((half, half), rel=0.06)


def test_two_documents_give_the_three_means_that_two_draws_can_give():
    # (a, a), (a, b) or (b, a), (b, b): a quarter, a half and a quarter of the resamples.
    estimate, low, high = bootstrap_interval([0.0, 1.0], level=0.4)
    assert (estimate, low, high) == (0.5, 0.5, 0.5)
    assert bootstrap_interval([0.0, 1.0], level=0.9) == (0.5, 0.0, 1.0)


def test_strata_keep_each_sources_share_of_the_documents():
    values, strata = [0.0] * 5 + [1.0] * 5, ["a"] * 5 + ["b"] * 5
    assert bootstrap_interval(values, strata=strata) == (0.5, 0.5, 0.5)
    assert bootstrap_interval(values).low < 0.5


def test_pairing_cancels_what_makes_a_document_hard_for_both():
    hardness = np.random.default_rng(2).normal(size=50)
    better, worse = hardness, hardness + 0.1
    assert paired_bootstrap(worse, better) == pytest.approx((0.1, 0.1, 0.1))
    assert bootstrap_interval(worse).low < bootstrap_interval(better).estimate
    with pytest.raises(ValueError, match="same order"):
        paired_bootstrap([1.0, 2.0], [1.0])


def test_an_interval_repeats_with_its_seed():
    values = np.arange(10.0)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)


@pytest.mark.parametrize(
    ("values", "weights", "level", "complaint"),
    [
        ([1.0], None, 0.95, "at least two"),
        ([1.0, 2.0], [1.0], 0.95, "one per document"),
        ([1.0, 2.0], [1.0, 0.0], 0.95, "weight 0"),
        ([1.0, 2.0], None, 95.0, "level=95"),
    ],
)
def test_what_cannot_be_resampled_is_refused(values, weights, level, complaint):
    with pytest.raises(ValueError, match=complaint):
        bootstrap_interval(values, weights, level=level)


def test_the_report_has_each_source_and_all_of_them():
    documents = heldout_documents()
    n_bytes = np.array([d.n_bytes for d in documents])
    report = bits_per_byte_by_source(documents, n_bytes * math.log(2) * 3, n_resamples=100)
    assert list(report) == [*SOURCES, "all"]
    assert all(interval == pytest.approx((3, 3, 3)) for interval in report.values())


def test_a_paired_interval_is_resampled_within_strata_when_they_are_named():
    better, worse = [1.0, 1.0, 5.0, 5.0], [1.1, 1.1, 5.9, 5.9]
    assert paired_bootstrap(worse, better, strata=[*"aabb"]) == pytest.approx((0.5, 0.5, 0.5))
    across = paired_bootstrap(worse, better)
    assert across.low < 0.5 < across.high
