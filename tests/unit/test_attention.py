"""Attention: worked by hand, equal to PyTorch's kernel, lawful, and clear about bad input."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig
from llmbook.nn import (
    Attention,
    KVCache,
    attend,
    attend_fused,
    causal_mask,
    padding_mask,
    repeat_kv,
)

B, H, T, S, D = 2, 3, 5, 7, 11  # distinct primes: a swapped axis cannot pass


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def qkv() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return normal(B, H, T, D, seed=1), normal(B, H, T, D, seed=2), normal(B, H, T, D, seed=3)


def test_two_keys_share_the_weight_as_worked_by_hand():
    q = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[math.log(3.0), 0, 0, 0], [0.0, 0, 0, 0]]]])
    v = torch.tensor([[[[8.0, 0, 0, 0], [0.0, 4.0, 0, 0]]]])
    out, weights = attend(q, k, v)  # scores: 2 ln 3 / √4 = ln 3, and 0
    torch.testing.assert_close(weights, torch.tensor([[[[0.75, 0.25]]]]))
    torch.testing.assert_close(out, torch.tensor([[[[6.0, 1.0, 0, 0]]]]))


def test_the_readable_and_the_fused_path_agree_with_gradients(qkv):
    mask = causal_mask(T)
    for use in (attend, attend_fused):
        inputs = [x.clone().double().requires_grad_() for x in qkv]
        out = use(*inputs, mask)
        out = out[0] if isinstance(out, tuple) else out
        grads = torch.autograd.grad((out * normal(*out.shape, seed=9)).sum(), inputs)
        if use is attend:
            expected = (out, *grads)
    torch.testing.assert_close((out, *grads), expected)


def test_equal_to_pytorch_with_more_keys_than_queries():
    q, k, v = normal(B, H, T, D, seed=1), normal(B, H, S, D, seed=2), normal(B, H, S, D, seed=3)
    reference = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attend(q, k, v)[0], reference)
    torch.testing.assert_close(attend_fused(q, k, v), reference)


def test_future_tokens_cannot_change_the_past(qkv):
    q, k, v = qkv
    before, _ = attend(q, k, v, causal_mask(T))
    k[:, :, 3:] += 100.0
    v[:, :, 3:] += 100.0
    after, _ = attend(q, k, v, causal_mask(T))
    torch.testing.assert_close(after[:, :, :3], before[:, :, :3])


def test_without_a_mask_reordering_keys_and_values_changes_nothing(qkv):
    q, k, v = qkv
    order = torch.randperm(T, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(attend(q, k[:, :, order], v[:, :, order])[0], attend(q, k, v)[0])


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 1.0, 100.0]))
@settings(max_examples=25, deadline=None)
def test_outputs_stay_within_the_values(seed, scale):
    q, k, v = (normal(1, 1, T, D, seed=seed + i) for i in range(3))
    out, weights = attend(q * scale, k, v)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1, T))
    assert (out <= v.amax(2, keepdim=True) + 1e-5).all()
    assert (out >= v.amin(2, keepdim=True) - 1e-5).all()


def test_a_query_that_may_look_nowhere_gets_zeros_and_no_nan_gradient(qkv):
    q, k, v = (x.requires_grad_() for x in qkv)
    mask = padding_mask(torch.tensor([3, 0]), T)
    for use in (attend, attend_fused):
        out = use(q, k, v, mask)
        out = out[0] if isinstance(out, tuple) else out
        assert (out[1] == 0).all()
        grads = torch.autograd.grad(out.sum(), (q, k, v), allow_unused=True)
        assert all(torch.isfinite(g).all() for g in grads)


def test_masks_say_who_may_look_where():
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]
    assert padding_mask(torch.tensor([1, 3]), 3)[:, 0, 0].tolist() == [
        [True, False, False],
        [True, True, True],
    ]


def test_masks_refuse_impossible_sizes():
    with pytest.raises(ValueError, match="n_key=2 < n_query=3"):
        causal_mask(3, 2)
    with pytest.raises(ValueError, match=r"lengths=\[4\]"):
        padding_mask(torch.tensor([4]), 3)
    q = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match="give no mask"):
        attend_fused(q, q, q, causal_mask(2), causal=True)


def test_grouped_queries_share_neighbouring_keys():
    x = normal(B, 2, T, D)
    repeated = repeat_kv(x, 3)
    assert repeated.shape == (B, 6, T, D)
    torch.testing.assert_close(repeated[:, 0], repeated[:, 2])
    torch.testing.assert_close(repeated[:, 3], x[:, 1])


@pytest.mark.parametrize("n_kv_head", [1, 3])
def test_the_layer_gives_the_same_with_and_without_its_weights_shown(n_kv_head):
    config = GPTConfig(13, 17, 1, H, 3 * 10, n_kv_head=n_kv_head)
    torch.manual_seed(0)
    layer, x = Attention(config), normal(B, T, 30)
    shown, weights = layer(x, keep_weights=True)
    fast, nothing = layer(x)
    assert nothing is None
    assert weights.shape == (B, H, T, T)
    assert weights.triu(1).abs().max() == 0
    torch.testing.assert_close(fast, shown)


def test_a_full_cache_refuses_more_tokens_and_names_the_remedy():
    config = GPTConfig(13, 4, 1, 1, 2)
    cache = KVCache(config)
    new = torch.zeros(1, 1, 3, 2)
    cache.layers[0].append(new, new)
    assert cache.length == 3
    with pytest.raises(ValueError, match="room for 4 tokens and would need 6"):
        cache.layers[0].append(new, new)
