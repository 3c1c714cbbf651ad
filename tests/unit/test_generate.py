"""Generation: cached equals uncached, samplers keep what they should, seeds repeat."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig
from llmbook.generate import (
    generate,
    keep_top_k,
    keep_top_p,
    next_token_distribution,
    probabilities,
    stream,
)
from llmbook.models import GPT

CONFIG = GPTConfig(23, 13, 2, 2, 12)
PROMPT = torch.tensor([[3, 1, 4], [1, 5, 9]])


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    model = GPT(CONFIG).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": 1.3}, {"top_k": 5}, {"top_p": 0.7},
     {"temperature": 0.8, "top_k": 7, "top_p": 0.9}],
)  # fmt: skip
def test_the_cache_changes_no_token_even_past_the_context(model, settings):
    drawn = [
        generate(model, PROMPT, max_new_tokens=20, seed=5, use_cache=cached, **settings)
        for cached in (True, False)
    ]
    assert drawn[0].shape == (2, 23)
    assert drawn[0].tolist() == drawn[1].tolist()


def test_a_model_in_double_precision_has_a_cache_in_double_precision(model):
    precise = copy.deepcopy(model).double()
    drawn = [
        generate(precise, PROMPT, max_new_tokens=5, temperature=0, use_cache=cached)
        for cached in (True, False)
    ]
    assert drawn[0].tolist() == drawn[1].tolist()


def test_greedy_takes_the_most_probable_token_each_time(model):
    out = generate(model, PROMPT[:1], max_new_tokens=4, temperature=0)
    for n in range(3, 7):
        assert out[0, n] == next_token_distribution(model, out[:, :n]).argmax()


def test_a_seed_repeats_and_another_differs(model):
    draws = [generate(model, PROMPT, max_new_tokens=9, seed=s).tolist() for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_samples_follow_the_distribution(model):
    expected = next_token_distribution(model, PROMPT[:1], temperature=1.5)
    prompts = PROMPT[:1].expand(20_000, -1)
    drawn = generate(model, prompts, max_new_tokens=1, temperature=1.5, seed=0)[:, -1]
    observed = torch.bincount(drawn, minlength=23).double()
    statistic = ((observed - 20_000 * expected) ** 2 / (20_000 * expected)).sum()
    assert statistic < 48.3  # chi-square with 22 degrees of freedom exceeds it once in a thousand


def test_a_row_that_drew_the_stop_id_stays_stopped_and_all_stopped_ends(model):
    free = generate(model, PROMPT, max_new_tokens=9, temperature=0)
    stop = int(free[0, 4])
    out = generate(model, PROMPT, max_new_tokens=9, temperature=0, stop_id=stop)
    assert out.shape[1] <= 12
    assert (out[0, 4:] == stop).all()


def test_streaming_yields_the_tokens_of_generate(model):
    tokens = list(stream(model, PROMPT, max_new_tokens=6, seed=3))
    whole = generate(model, PROMPT, max_new_tokens=6, seed=3)
    assert torch.stack(tokens, dim=1).tolist() == whole[:, 3:].tolist()


def test_top_k_keeps_the_k_largest():
    kept = keep_top_k(torch.tensor([[1.0, 5.0, 3.0, 2.0]]), 2)
    assert kept.tolist() == [[-math.inf, 5.0, 3.0, -math.inf]]
    assert keep_top_k(torch.ones(1, 3), 9).tolist() == [[1.0, 1.0, 1.0]]


def test_top_p_keeps_the_token_that_crosses_the_threshold():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert keep_top_p(logits, 0.6).isfinite().tolist() == [[True, True, False, False]]
    assert keep_top_p(logits, 0.01).isfinite().tolist() == [[True, False, False, False]]
    assert keep_top_p(logits, 1.0).isfinite().all()


@given(values=st.lists(st.floats(-8, 8), min_size=2, max_size=12), p=st.floats(0.01, 1.0))
@settings(max_examples=100, deadline=None)
def test_the_nucleus_reaches_p_and_none_of_its_tokens_is_needless(values, p):
    logits = torch.tensor([values], dtype=torch.float64)
    inside = keep_top_p(logits, p).isfinite()[0]
    mass = logits.softmax(-1)[0][inside]
    assert mass.sum() >= p - 1e-9
    assert mass.sum() - mass.min() < p + 1e-9


def test_temperature_sharpens_flattens_and_has_a_limit_at_zero():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    cold, warm, hot = (probabilities(logits, t)[0, 0] for t in (0.5, 1.0, 100.0))
    assert cold > warm > hot > 1 / 3
    assert probabilities(logits, 0).tolist() == [[1.0, 0.0, 0.0]]
    torch.testing.assert_close(probabilities(logits, 2.0), (logits / 2).softmax(-1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"ids": torch.zeros(1, 0, dtype=torch.long)}, "at least one token"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.1}, "top_p=1.1"),
    ],
)
def test_settings_out_of_range_are_refused(model, bad, message):
    arguments = {"ids": PROMPT, "max_new_tokens": 2, **bad}
    with pytest.raises(ValueError, match=message):
        generate(model, arguments.pop("ids"), **arguments)
