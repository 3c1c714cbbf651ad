"""The decoder: the same as the Hugging Face library's, causal, cached, and counted right."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig
from llmbook.models import GPT, Trace
from llmbook.nn import KVCache

LLAMA = GPTConfig(31, 19, 2, 6, 24, n_kv_head=2, d_ff=29)
GPT2 = GPTConfig(31, 19, 2, 3, 24, position="learned", norm="layernorm", mlp="gelu", bias=True)
FAMILIES = pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])


def build(config: GPTConfig, std: float = 0.3) -> GPT:
    """A model with weights large enough that a mistake shows."""
    torch.manual_seed(0)
    model = GPT(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model


def draw_ids(batch: int = 2, length: int = 11, vocab: int = 31) -> torch.Tensor:
    return torch.randint(vocab, (batch, length), generator=torch.Generator().manual_seed(1))


@FAMILIES
def test_cached_and_uncached_logits_agree_however_the_text_is_cut(config):
    model, ids = build(config), draw_ids()
    cache = KVCache(config, batch_size=2)
    parts = [model(part, cache=cache) for part in ids.split([3, 1, 5, 2], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids))


@FAMILIES
def test_future_tokens_cannot_change_earlier_logits(config):
    model, ids = build(config), draw_ids()
    before = model(ids)
    ids[:, 7:] = (ids[:, 7:] + 5) % config.vocab_size
    torch.testing.assert_close(model(ids)[:, :7], before[:, :7])


@FAMILIES
def test_a_sequence_does_not_depend_on_its_neighbours_in_the_batch(config):
    model, ids = build(config), draw_ids()
    torch.testing.assert_close(model(ids)[:1], model(ids[:1]))


@FAMILIES
def test_a_trace_records_the_stream_and_the_attention_without_changing_the_logits(config):
    model, ids, trace = build(config), draw_ids(), Trace()
    torch.testing.assert_close(model(ids, trace=trace), model(ids))
    assert [r.shape for r in trace.residual] == [(2, 11, 24)] * 3
    assert [a.shape for a in trace.attention] == [(2, config.n_head, 11, 11)] * 2
    torch.testing.assert_close(model.output(model.norm(trace.residual[-1])), model(ids))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("smollm2-135m", 134_515_008),
    ],
)
def test_presets_have_the_published_number_of_parameters(name, parameters):
    with torch.device("meta"):
        assert GPT(GPTConfig.preset(name)).n_params() == parameters


def test_tied_embeddings_are_counted_once_and_left_out_on_request():
    tied, untied = GPT(LLAMA), GPT(LLAMA.replace(tie_embeddings=False))
    assert untied.n_params() - tied.n_params() == 31 * 24
    assert tied.n_params() - tied.n_params(embeddings=False) == 31 * 24


def test_an_untrained_model_guesses_nearly_uniformly():
    torch.manual_seed(0)
    logits = GPT(LLAMA)(draw_ids())[:, :-1].flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, draw_ids()[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(31), abs=0.1)


def test_too_many_tokens_and_foreign_ids_are_refused_with_the_remedy():
    model = GPT(LLAMA)
    with pytest.raises(ValueError, match="20 tokens do not fit into context_length=19"):
        model(torch.zeros(1, 20, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 31 is outside the vocabulary of 31"):
        model(torch.tensor([[3, 31]]))
    with pytest.raises(ValueError, match="token id -1"):
        model(torch.tensor([[-1]]))


@given(
    n_kv_head=st.sampled_from([1, 2, 3, 6]),
    length=st.integers(1, 13),
    choices=st.tuples(
        st.sampled_from(["learned", "rope"]),
        st.sampled_from(["layernorm", "rmsnorm"]),
        st.sampled_from(["gelu", "swiglu"]),
        st.booleans(),
        st.booleans(),
    ),
)
@settings(max_examples=30, deadline=None)
def test_every_combination_of_choices_runs_forward_and_backward(n_kv_head, length, choices):
    position, norm, mlp, bias, tied = choices
    config = GPTConfig(17, 13, 2, 6, 12, n_kv_head=n_kv_head, d_ff=7, position=position, norm=norm,
                       mlp=mlp, bias=bias, tie_embeddings=tied, dropout=0.1)  # fmt: skip
    model = GPT(config)
    model(torch.zeros(3, length, dtype=torch.long)).square().sum().backward()
    grads = [p.grad for p in model.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layer": 0}, "n_layer=0"),
        ({"d_model": True}, "d_model=True"),
        ({"n_head": 5}, "n_head=5 does not divide d_model=24"),
        ({"n_kv_head": 4}, "n_kv_head=4 does not divide n_head=6"),
        ({"n_head": 8, "n_kv_head": 8}, "d_head = d_model / n_head = 3 is odd"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_sizes_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        LLAMA.replace(**changes)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(KeyError, match="book-small"):
        GPTConfig.preset("gpt5")


def test_defaults_are_filled_in():
    assert GPTConfig(7, 5, 1, 2, 12).ff_width == 32
    assert GPTConfig(7, 5, 1, 2, 12, mlp="gelu").ff_width == 48
    assert GPTConfig(7, 5, 1, 2, 12).kv_heads == 2
