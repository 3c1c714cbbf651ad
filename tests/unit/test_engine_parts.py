"""The parts that chapters 8, 10 and 17 choose among: positions, windows, experts, memory."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llmbook.config import GPTConfig, RopeScaling, Seq2SeqConfig
from llmbook.models import GPT
from llmbook.nn import (
    MLP,
    Attention,
    Block,
    KVCache,
    LayerCache,
    MixtureOfExperts,
    Trace,
    activate,
    alibi_bias,
    alibi_slopes,
    attend_biased,
    attend_fused,
    causal_mask,
    padding_mask,
    rope_rotation,
    sinusoidal_positions,
)

B, T, S, C = 2, 5, 7, 12
SIZES = {"vocab_size": 31, "context_length": 17, "n_layer": 2, "n_head": 3, "d_model": C}
POSITIONS = ("learned", "rope", "sinusoidal", "alibi", "none")


def ids(n_row: int = B, n_token: int = T, seed: int = 0) -> torch.Tensor:
    return torch.randint(31, (n_row, n_token), generator=torch.Generator().manual_seed(seed))


# positions --------------------------------------------------------------------------------------


def test_sinusoids_by_hand():
    waves = sinusoidal_positions(3, 4)
    second = [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)]
    torch.testing.assert_close(waves[0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(waves[1], torch.tensor(second))


def test_a_step_of_k_turns_every_pair_of_the_sinusoids_by_the_same_angle():
    waves, k = sinusoidal_positions(40, 6).double(), 9
    sines, cosines = waves[:, :3], waves[:, 3:]
    angle = k * 10_000.0 ** -(torch.arange(3).double() / 3)
    moved = sines * angle.cos() + cosines * angle.sin()
    torch.testing.assert_close(moved[:-k], sines[k:], atol=1e-6, rtol=0)


def test_an_odd_width_has_no_sinusoids():
    with pytest.raises(ValueError, match="d_model=5 is odd"):
        sinusoidal_positions(3, 5)


def test_alibi_slopes_are_those_of_the_paper():
    halves = [2.0**-i for i in range(1, 9)]
    torch.testing.assert_close(alibi_slopes(8), torch.tensor(halves))
    assert alibi_slopes(1).tolist() == [2.0**-8]
    # Not a power of two: those of 2 heads, then every second one of 4 heads.
    assert alibi_slopes(3).tolist() == [2.0**-4, 2.0**-8, 2.0**-2]


def test_alibi_adds_minus_slope_times_distance():
    bias = alibi_bias(torch.tensor([0.5]), 2, 3)
    assert bias[0].tolist() == [[-0.5, 0.0, -0.5], [-1.0, -0.5, 0.0]]


def test_biased_attention_agrees_with_the_fused_kernel_and_is_zero_where_nothing_is_seen():
    q, k, v = (torch.randn(B, 3, n, 4) for n in (T, S, S))
    bias, mask = torch.randn(3, T, S), torch.rand(B, 1, T, S) > 0.4
    mask[0, 0, 2] = False
    mixed, weights = attend_biased(q, k, v, bias, mask)
    torch.testing.assert_close(attend_fused(q, k, v, mask, bias=bias), mixed)
    assert mixed[0, :, 2].eq(0).all()
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).float().expand(B, 3, T))


def test_a_bias_without_a_mask_is_refused():
    q = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="a bias needs a mask"):
        attend_fused(q, q, q, bias=torch.zeros(2, 2))


def test_linear_scaling_puts_position_four_where_position_one_was():
    plain = rope_rotation(2, 6)
    scaled = rope_rotation(5, 6, scaling=RopeScaling("linear", factor=4.0))
    torch.testing.assert_close(scaled.cos[4], plain.cos[1])


def test_llama3_scaling_leaves_fast_turns_alone_and_slows_the_slowest():
    scaling = RopeScaling("llama3", factor=8.0, original_context=64)
    plain, scaled = rope_rotation(2, 32), rope_rotation(2, 32, scaling=scaling)
    torch.testing.assert_close(scaled.sin[1, 0], plain.sin[1, 0])
    slowest = 10_000.0 ** -(30 / 32)
    assert float(scaled.sin[1, 15]) == pytest.approx(math.sin(slowest / 8), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "linear", "factor": 0.5}, "factor=0.5"),
        ({"kind": "linear", "factor": float("inf")}, "factor=inf"),
        ({"kind": "llama3", "factor": 2.0, "low_freq_factor": 4.0}, "low_freq_factor=4.0"),
        ({"kind": "llama3", "factor": 2.0, "original_context": 0}, "original_context=0"),
    ],
)
def test_scalings_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RopeScaling(**arguments)


@pytest.mark.parametrize("position", POSITIONS)
def test_cached_logits_equal_uncached_ones_for_every_kind_of_position(position):
    for window in (None, 3):
        config = GPTConfig(**SIZES, position=position, window=window)
        model, tokens = GPT(config).eval(), ids(n_token=11)
        cache = KVCache(config, B)
        pieces = [model(tokens[:, a:b], cache=cache) for a, b in ((0, 4), (4, 5), (5, 11))]
        torch.testing.assert_close(torch.cat(pieces, 1), model(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("position", POSITIONS)
def test_padding_on_the_left_changes_nothing_when_positions_and_mask_say_so(position):
    model = GPT(GPTConfig(**SIZES, position=position)).eval()
    alone, n_pad = ids(1, 5), 3
    padded = torch.cat([torch.zeros(1, n_pad, dtype=torch.long), alone], dim=1)
    positions = (torch.arange(5 + n_pad) - n_pad).clamp(min=0)[None]
    mask = causal_mask(5 + n_pad) & (torch.arange(5 + n_pad) >= n_pad)
    out = model(padded, mask=mask[None, None], positions=positions)[:, n_pad:]
    torch.testing.assert_close(out, model(alone), atol=1e-5, rtol=1e-5)


def test_without_positions_and_mask_a_permuted_text_gives_permuted_logits():
    model = GPT(GPTConfig(**SIZES, position="none")).eval()
    tokens, order = ids(), torch.tensor([3, 0, 4, 1, 2])
    see_all = torch.ones(T, T, dtype=torch.bool)
    out = model(tokens, mask=see_all)
    torch.testing.assert_close(model(tokens[:, order], mask=see_all), out[:, order])


# windows ----------------------------------------------------------------------------------------


def test_a_window_leaves_each_query_its_last_keys():
    assert causal_mask(4, window=2).int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    assert causal_mask(1, 4, window=2).int().tolist() == [[0, 0, 1, 1]]


def test_a_token_reaches_as_far_as_layers_times_window():
    model = GPT(GPTConfig(**SIZES, window=3)).eval()  # 2 layers: 2 · (3 - 1) tokens back
    tokens = ids(1, 9)
    before = model(tokens)
    tokens[0, 2] = (tokens[0, 2] + 1) % 31
    changed = (model(tokens) - before).abs().amax(-1)[0] > 1e-7
    assert changed.tolist() == [False, False, True, True, True, True, True, False, False]


# experts ----------------------------------------------------------------------------------------


def experts(**changes) -> MixtureOfExperts:
    return MixtureOfExperts(GPTConfig(**SIZES, **{"n_expert": 5, **changes}))


def test_one_expert_is_an_ordinary_layer():
    mixture, x = experts(n_expert=1, n_expert_active=1), torch.randn(B, T, C)
    torch.testing.assert_close(mixture(x), mixture.experts[0](x))


def test_a_mixture_is_the_weighted_sum_over_each_tokens_best_experts():
    mixture, x = experts(), torch.randn(B, T, C)
    out = mixture(x)
    for b in range(B):
        for t in range(T):
            p = mixture.router(x[b, t]).softmax(-1)
            best = p.argsort(descending=True)[:2]
            mix = sum(p[i] * mixture.experts[int(i)](x[b, t]) for i in best) / p[best].sum()
            torch.testing.assert_close(out[b, t], mix)


def test_the_mixture_of_fixed_shapes_for_the_compiler_equals_the_sparse_one(monkeypatch):
    mixture, x = experts(), torch.randn(B, T, C)
    sparse = mixture(x)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(mixture(x), sparse)


def test_the_balance_loss_is_one_when_all_are_used_alike_and_larger_otherwise():
    mixture = experts(n_expert=2, n_expert_active=1)
    nn.init.zeros_(mixture.router.weight)
    mixture.router.weight.data[0, 0] = 1.0
    x = torch.zeros(1, 2, C)
    x[0, :, 0] = torch.tensor([1.0, -1.0])
    mixture(x)
    assert mixture.balance_loss.item() == pytest.approx(1.0)
    x[0, :, 0] = 50.0
    mixture(x)
    assert mixture.balance_loss.item() == pytest.approx(2.0)


def test_a_model_reports_the_mean_balance_loss_and_its_router_learns():
    model = GPT(GPTConfig(**SIZES, n_expert=3))
    assert model.balance_loss() is None
    loss = model(ids()).square().mean() + model.balance_loss()
    loss.backward()
    assert all(block.mlp.router.weight.grad.abs().sum() > 0 for block in model.blocks)
    assert GPT(GPTConfig(**SIZES)).balance_loss() is None


def test_more_active_experts_than_experts_are_refused():
    with pytest.raises(ValueError, match="n_expert_active=3 of n_expert=2"):
        GPTConfig(**SIZES, n_expert=2, n_expert_active=3)


# activations, memory and blocks -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("relu", 2.0), ("relu2", 4.0), ("silu", 1.76159), ("gelu", 1.95460), ("gelu_erf", 1.95450)],
)
def test_activations_at_two_and_at_minus_infinity(name, value):
    out = activate(torch.tensor([2.0, -40.0]), name)
    assert out[0].item() == pytest.approx(value, abs=1e-5)
    assert out[1].item() == pytest.approx(0.0, abs=1e-6)


def test_the_form_of_gelu_for_the_compiler_is_the_same_function(monkeypatch):
    x = torch.linspace(-9, 9, 997, dtype=torch.float64)
    expected = activate(x, "gelu")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(activate(x, "gelu"), expected, atol=1e-12, rtol=1e-12)


def test_cross_attention_reads_the_memory_and_its_mask():
    config = Seq2SeqConfig(vocab_size=31, context_length=17, n_layer=1, n_head=3, d_model=C)
    layer = Attention(config, causal=False).eval()
    x, memory = torch.randn(B, T, C), torch.randn(B, S, C)
    mask = padding_mask(torch.tensor([4, S]), S)
    before, weights = layer(x, mask, keep_weights=True, memory=memory)
    assert weights.shape == (B, 3, T, S)
    memory[0, 4:] += 100.0
    torch.testing.assert_close(layer(x, mask, memory=memory)[0], before)


def test_cross_attention_computes_the_memorys_keys_once():
    config = Seq2SeqConfig(vocab_size=31, context_length=17, n_layer=1, n_head=3, d_model=C)
    layer = Attention(config, causal=False).eval()
    x, memory = torch.randn(B, T, C), torch.randn(B, S, C)
    cache = LayerCache(B, config, torch.device("cpu"), torch.float32)
    first, _ = layer(x, cache=cache, memory=memory)
    again, _ = layer(x, cache=cache, memory=torch.zeros_like(memory))
    torch.testing.assert_close(again, first)
    assert cache.length == S


def test_a_block_with_norms_after_equals_pytorchs():
    config = Seq2SeqConfig(vocab_size=31, context_length=17, n_layer=1, n_head=3, d_model=C)
    block = Block(config, causal=False).eval()
    theirs = nn.TransformerEncoderLayer(C, 3, 4 * C, dropout=0.0, batch_first=True).eval()
    attention = block.attention
    parts = (attention.query, attention.key, attention.value)
    state = {
        "self_attn.in_proj_weight": torch.cat([p.weight for p in parts]),
        "self_attn.in_proj_bias": torch.cat([p.bias for p in parts]),
        "self_attn.out_proj.weight": attention.out.weight,
        "self_attn.out_proj.bias": attention.out.bias,
        "linear1.weight": block.mlp.up.weight,
        "linear1.bias": block.mlp.up.bias,
        "linear2.weight": block.mlp.down.weight,
        "linear2.bias": block.mlp.down.bias,
        "norm1.weight": block.attention_norm.weight,
        "norm1.bias": block.attention_norm.bias,
        "norm2.weight": block.mlp_norm.weight,
        "norm2.bias": block.mlp_norm.bias,
    }
    theirs.load_state_dict(state)
    x = torch.randn(B, T, C)
    torch.testing.assert_close(block(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_a_trace_of_a_cross_block_keeps_both_kinds_of_weights():
    config = Seq2SeqConfig(vocab_size=31, context_length=17, n_layer=1, n_head=3, d_model=C)
    trace = Trace()
    block = Block(config, cross=True)
    block(torch.randn(B, T, C), trace=trace, memory=torch.randn(B, S, C))
    assert trace.attention[0].shape == (B, 3, T, T)
    assert trace.cross_attention[0].shape == (B, 3, T, S)
    assert trace.attention[0].triu(1).eq(0).all()


def test_logits_are_the_output_layer_on_the_hidden_states():
    model = GPT(GPTConfig(**SIZES)).eval()
    torch.testing.assert_close(model.output(model.hidden(ids())), model(ids()))


# everything at once -----------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    n_head=st.integers(1, 5),
    d_head=st.sampled_from([1, 2, 3, 5, 7, 8]),
    n_token=st.integers(1, 13),
    window=st.none() | st.integers(1, 15),
    n_expert=st.integers(0, 3),
    position=st.sampled_from(POSITIONS),
    norm=st.sampled_from(["layernorm", "rmsnorm"]),
    mlp=st.sampled_from(["gelu", "gelu_erf", "relu", "relu2", "silu", "swiglu"]),
    norm_first=st.booleans(),
    bias=st.booleans(),
    tied=st.booleans(),
)
def test_sizes_drawn_at_random_run_forward_and_backward_or_are_refused(
    n_head, d_head, n_token, window, n_expert, position, norm, mlp, norm_first, bias, tied
):
    sizes = {"vocab_size": 11, "context_length": 13, "n_layer": 2, "d_ff": 5}
    odd = (position == "rope" and d_head % 2) or (position == "sinusoidal" and n_head * d_head % 2)
    choices = {
        "position": position,
        "norm": norm,
        "mlp": mlp,
        "norm_first": norm_first,
        "bias": bias,
        "tie_embeddings": tied,
        "window": window,
        "n_expert": n_expert,
        "n_expert_active": min(n_expert, 2) or 1,
    }
    build = {**sizes, **choices, "n_head": n_head, "d_model": n_head * d_head}
    if odd:
        with pytest.raises(ValueError, match="is odd"):
            GPTConfig(**build)
        return
    model = GPT(GPTConfig(**build))
    tokens = ids(3, n_token) % 11
    logits = model(tokens)
    assert logits.shape == (3, n_token, 11)
    logits.logsumexp(-1).sum().backward()
    used = [p for n, p in model.named_parameters() if ".experts." not in n]
    unreached = {"position_embedding.weight"}
    assert all(
        p.grad is not None and p.grad.isfinite().all()
        for n, p in model.named_parameters()
        if n not in unreached and ".experts." not in n
    )
    assert used
    assert MLP(model.config)(torch.zeros(n_head * d_head)).shape == (n_head * d_head,)


def test_new_weights_are_small_those_that_write_to_the_stream_smaller_and_biases_zero():
    model = GPT(GPTConfig(97, 16, 8, 4, 128, mlp="gelu", bias=True, norm="layernorm"))
    block = model.blocks[3]
    assert block.attention.query.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for layer in (block.attention.out, block.mlp.down):
        assert layer.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)  # √(2 · 8) = 4
    assert all(p.eq(0).all() for n, p in model.named_parameters() if n.endswith("bias"))
    assert all(p.eq(1).all() for n, p in model.named_parameters() if n.endswith("norm.weight"))


@pytest.mark.parametrize("capacity", [5, 70, 132, 133, 200])
def test_a_cache_with_a_window_never_takes_more_room_than_it_was_allowed(capacity):
    config = GPTConfig(**SIZES)
    cache = LayerCache(1, config, torch.device("cpu"), torch.float32, capacity, window=5)
    assert cache.keys.shape[2] == min(capacity, 5 + 2 * 64)


def test_no_tokens_give_no_logits():
    assert GPT(GPTConfig(**SIZES))(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0, 31)
