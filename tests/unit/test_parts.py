"""Positions, norms and the feed-forward layer against their formulas and PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from llmbook.config import GPTConfig
from llmbook.nn import MLP, RMSNorm, make_norm, rope_rotation, rotate

T, D = 7, 10


def test_rope_turns_the_first_pair_by_one_radian_per_position():
    rotation = rope_rotation(3, 4)
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(1, 1, 3, 4)
    turned = rotate(x, rotation)[0, 0]
    expected = [[math.cos(p), 0.0, math.sin(p), 0.0] for p in range(3)]
    torch.testing.assert_close(turned, torch.tensor(expected))


def test_rope_equals_the_hugging_face_llama():
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    x = torch.randn(1, 2, T, D, generator=torch.Generator().manual_seed(0))
    rotation = rope_rotation(T, D, base=500.0)
    theirs, _ = llama.apply_rotary_pos_emb(x, x, rotation.cos[None], rotation.sin[None])
    torch.testing.assert_close(rotate(x, rotation), theirs)


def test_rope_scores_depend_on_the_distance_only():
    g = torch.Generator().manual_seed(0)
    q, k = torch.randn(D, generator=g).double(), torch.randn(D, generator=g).double()
    turned_q = rotate(q.expand(1, 1, T, D), rope_rotation(T, D))[0, 0]
    turned_k = rotate(k.expand(1, 1, T, D), rope_rotation(T, D))[0, 0]
    scores = turned_q @ turned_k.T
    for distance in range(-T + 1, T):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)


def test_rope_keeps_lengths():
    x = torch.randn(1, 1, T, D, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotate(x, rope_rotation(T, D)).norm(dim=-1), x.norm(dim=-1))


def test_rope_refuses_an_odd_width():
    with pytest.raises(ValueError, match="d_head=3 is odd"):
        rope_rotation(4, 3)


def test_rmsnorm_by_hand_and_against_pytorch():
    norm = RMSNorm(2, eps=0.0)
    torch.testing.assert_close(
        norm(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]) / 12.5**0.5
    )
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(RMSNorm(5, 1e-5)(x), nn.RMSNorm(5, 1e-5)(x))


def test_rmsnorm_ignores_the_scale_of_its_input():
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(RMSNorm(5, 0.0)(7 * x), RMSNorm(5, 0.0)(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_rmsnorm_returns_the_format_it_was_given(dtype):
    assert RMSNorm(5).to(dtype)(torch.ones(2, 5, dtype=dtype)).dtype == dtype


def test_the_configuration_names_the_norm():
    assert isinstance(make_norm(GPTConfig(5, 5, 1, 1, 4, norm="layernorm")), nn.LayerNorm)
    assert isinstance(make_norm(GPTConfig(5, 5, 1, 1, 4, norm="rmsnorm")), RMSNorm)


def test_swiglu_multiplies_a_gate_and_a_value():
    mlp = MLP(GPTConfig(5, 5, 1, 1, 2, d_ff=1))
    with torch.no_grad():
        mlp.gate.weight.copy_(torch.tensor([[1.0, 0.0]]))
        mlp.up.weight.copy_(torch.tensor([[0.0, 1.0]]))
        mlp.down.weight.copy_(torch.tensor([[1.0], [2.0]]))
    out = mlp(torch.tensor([[[2.0, 3.0]]]))
    hidden = 2.0 / (1 + math.exp(-2.0)) * 3.0
    torch.testing.assert_close(out, torch.tensor([[[hidden, 2 * hidden]]]))


def test_each_position_passes_the_mlp_alone():
    torch.manual_seed(0)
    mlp = MLP(GPTConfig(5, 5, 1, 1, 6, mlp="gelu", bias=True))
    x = torch.randn(2, T, 6)
    torch.testing.assert_close(mlp(x)[:, 3:4], mlp(x[:, 3:4]))
