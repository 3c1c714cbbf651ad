"""Filters of logits: equal to the reference library's, and the laws that each keeps."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.generate import (
    Sampling,
    filtered,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    probabilities,
)

B, V, N = 3, 29, 7

logit_rows = st.lists(st.floats(-9, 9), min_size=2, max_size=13, unique=True)
samplings = st.builds(
    Sampling,
    repetition_penalty=st.floats(0.5, 3),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_k=st.none() | st.integers(1, 15),
    top_p=st.none() | st.floats(0.01, 1),
    min_p=st.none() | st.floats(0, 1),
)


def tensor(row):
    return torch.tensor([row], dtype=torch.float64)


def test_min_p_keeps_what_is_half_as_probable_as_the_best():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert keep_min_p(logits, 0.5).isfinite().tolist() == [[True, True, False, False]]
    assert keep_min_p(logits, 0.31).isfinite().tolist() == [[True, True, False, False]]
    assert keep_min_p(logits, 0.29).isfinite().tolist() == [[True, True, True, False]]
    assert keep_min_p(logits, 1.0).isfinite().tolist() == [[True, False, False, False]]
    assert keep_min_p(logits, 0.0) is logits


def test_the_penalty_divides_positive_logits_and_multiplies_negative_ones_once():
    logits = torch.tensor([[2.0, -1.0, 3.0, -4.0]])
    out = penalise_repetition(logits, torch.tensor([[0, 1, 1, 0]]), 2.0)
    assert out.tolist() == [[1.0, -2.0, 3.0, -4.0]]


@pytest.mark.parametrize(
    "values",
    [
        {"repetition_penalty": 1.7},
        {"top_k": 5},
        {"top_p": 0.6},
        {"min_p": 0.2},
        {"temperature": 0.7, "top_k": 11, "top_p": 0.8},
        {"temperature": 1.9, "top_p": 0.9, "min_p": 0.15},
        {"repetition_penalty": 1.3, "temperature": 1.4, "top_k": 13, "top_p": 0.95, "min_p": 0.05},
        {"repetition_penalty": 0.8, "temperature": 0.4, "top_k": 17, "top_p": 0.99, "min_p": 0.3},
    ],
)
def test_the_filters_and_their_order_are_those_of_transformers(values):
    process = pytest.importorskip("transformers").generation.logits_process
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(V, (B, N), generator=generator)
    sampling = Sampling(**values)
    theirs = process.LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        theirs.append(process.RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    theirs.append(process.TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        theirs.append(process.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p:
        theirs.append(process.TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        theirs.append(process.MinPLogitsWarper(sampling.min_p))
    for _ in range(20):
        logits = 3 * torch.randn(B, V, generator=generator)
        expected = theirs(ids, logits.clone())
        torch.testing.assert_close(filtered(logits, sampling, ids), expected)


def test_the_library_applies_its_filters_in_the_order_that_is_documented_here():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=V, n_positions=8, n_embd=4, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(config)
    names = []

    class Spy(transformers.LogitsProcessorList):
        def append(self, item):
            names.append(type(item).__name__)
            super().append(item)

    utils = transformers.generation.utils
    original, utils.LogitsProcessorList = utils.LogitsProcessorList, Spy
    try:
        every = {"temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1}
        model.generate(
            torch.tensor([[1]]), do_sample=True, max_new_tokens=1, repetition_penalty=1.5,
            prefix_allowed_tokens_fn=lambda *_: [1, 2], pad_token_id=0, **every,
        )  # fmt: skip
    finally:
        utils.LogitsProcessorList = original
    known = ["Repetition", "PrefixConstrained", "Temperature", "TopK", "TopP", "MinP"]
    found = [k for name in names for k in known if name.startswith(k)]
    assert found == known


@given(row=logit_rows, sampling=samplings)
@settings(max_examples=150, deadline=None)
def test_every_combination_leaves_a_distribution_that_may_draw_the_best_token(row, sampling):
    logits = tensor(row)
    ids = torch.zeros(1, 1, dtype=torch.long)
    out = filtered(logits, sampling, ids)
    p = out.softmax(-1)
    assert not p.isnan().any()
    torch.testing.assert_close(p.sum(-1), torch.ones(1, dtype=torch.float64))
    penalised = penalise_repetition(logits, ids, sampling.repetition_penalty)
    assert p[0, penalised.argmax()] > 0


@given(row=logit_rows, sampling=samplings)
@settings(max_examples=100, deadline=None)
def test_more_filters_keep_fewer_tokens_and_leave_the_order_of_those_they_keep(row, sampling):
    logits = tensor(row)
    out = filtered(logits, sampling)[0]
    kept = out.isfinite()
    for looser in ("top_k", "top_p", "min_p"):
        fields = {**vars(sampling), looser: None}
        assert (filtered(logits, Sampling(**fields))[0].isfinite() | ~kept).all()
    if sampling.temperature > 0:
        order = logits[0].argsort(descending=True)
        values = out[order][kept[order]]
        assert (values.diff() <= 0).all()


@given(row=logit_rows, k=st.integers(1, 15), share=st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_a_filter_applied_twice_does_no_more_than_once(row, k, share):
    logits = tensor(row)
    once = keep_top_k(logits, k)
    assert torch.equal(keep_top_k(once, k), once)
    once = keep_min_p(logits, share)
    assert torch.equal(keep_min_p(once, share), once)
    # The nucleus of a nucleus is taken of a smaller whole: it may shrink, and never grows.
    once = keep_top_p(logits, share)
    assert (once.isfinite() | ~keep_top_p(once, share).isfinite()).all()


@given(row=logit_rows, looser=st.floats(0.01, 1), tighter=st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_a_looser_setting_keeps_all_that_a_tighter_one_keeps(row, looser, tighter):
    looser, tighter = max(looser, tighter), min(looser, tighter)
    logits = tensor(row)
    assert (keep_top_p(logits, looser).isfinite() | ~keep_top_p(logits, tighter).isfinite()).all()
    assert (keep_min_p(logits, tighter).isfinite() | ~keep_min_p(logits, looser).isfinite()).all()
    for k in range(1, len(row)):
        more, fewer = keep_top_k(logits, k + 1), keep_top_k(logits, k)
        assert int(fewer.isfinite().sum()) == k
        assert (more.isfinite() | ~fewer.isfinite()).all()


def test_tokens_keep_their_probabilities_when_the_vocabulary_is_permuted():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(B, V, generator=generator, dtype=torch.float64)
    order = torch.randperm(V, generator=generator)
    for sampling in (Sampling(top_k=5), Sampling(top_p=0.7), Sampling(min_p=0.3, temperature=0)):
        plain = filtered(logits, sampling)[:, order]
        torch.testing.assert_close(filtered(logits[:, order], sampling), plain)


def test_a_constraint_comes_before_the_other_filters():
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0]])
    allowed = torch.tensor([[False, True, False, True]])
    for sampling in (Sampling(top_k=1), Sampling(top_p=0.1), Sampling(temperature=0)):
        assert filtered(logits, sampling, allowed=allowed).softmax(-1).tolist() == [[0, 1, 0, 0]]
    both = filtered(logits, Sampling(top_k=3), allowed=allowed).isfinite()
    assert both.tolist() == allowed.tolist()


def test_at_temperature_zero_the_distribution_is_its_limit():
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    assert filtered(logits, Sampling(temperature=0)).exp().tolist() == [[0.0, 1.0, 0.0]]
    assert probabilities(logits, 0).tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(["temperature"], [-1, math.nan, math.inf]),
        *itertools.product(["repetition_penalty"], [0, -1, math.nan, math.inf]),
        *itertools.product(["top_k"], [0, -3]),
        *itertools.product(["top_p"], [0, 1.1, math.nan]),
        *itertools.product(["min_p"], [-0.1, 1.1, math.nan]),
    ],
)
def test_a_setting_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=f"{field}={value}: give"):
        Sampling(**{field: value})
