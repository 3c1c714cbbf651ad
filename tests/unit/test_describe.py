"""Counts from the configuration, each against a measurement of the model itself."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig
from llmbook.describe import describe
from llmbook.models import GPT, Trace
from llmbook.nn import KVCache
from llmbook.train import next_token_loss

B, T = 3, 7
SIZES = {"vocab_size": 101, "context_length": 13, "n_layer": 3, "n_head": 2, "d_model": 20}
GPT2 = {"position": "learned", "norm": "layernorm", "mlp": "gelu", "bias": True}
KINDS = [
    {},
    GPT2,
    {"n_kv_head": 1, "tie_embeddings": False},
    {"mlp": "relu2", "position": "sinusoidal"},
    {"mlp": "relu", "position": "none", "norm": "layernorm"},
    {"mlp": "gelu_erf", "bias": True, "d_ff": 37},
    {"mlp": "silu"},
]


@pytest.mark.parametrize("changes", [*KINDS, {"n_expert": 5}, {"position": "alibi"}])
def test_parameters_are_those_of_the_built_model(changes):
    config = GPTConfig(**SIZES, **changes)
    assert describe(config).n_params == GPT(config).n_params()


@pytest.mark.parametrize(
    "name", ["gpt2", "gpt2-xl", "gpt3", "jurassic-1-jumbo", "smollm2-135m", "book"]
)
def test_parameters_of_every_published_shape_are_exact(name):
    config = GPTConfig.preset(name)
    with torch.device("meta"):
        assert describe(config).n_params == GPT(config).n_params()


def test_gpt3_and_jurassic_have_the_sizes_that_their_papers_state():
    assert describe(GPTConfig.preset("gpt3")).n_params == pytest.approx(175e9, rel=0.005)
    assert describe(GPTConfig.preset("jurassic-1-jumbo")).n_params == pytest.approx(
        178e9, rel=0.005
    )


@pytest.mark.parametrize("changes", [*KINDS, {"n_expert": 5, "n_expert_active": 2}])
def test_flops_are_those_that_pytorch_counts(changes):
    config = GPTConfig(**SIZES, **changes)
    model = GPT(config)
    ids = torch.randint(config.vocab_size, (B, T))
    with FlopCounterMode(display=False) as forward:  # a trace: the path of plain products
        logits = model(ids, trace=Trace())
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    told = describe(config, n_tokens=T)
    assert forward.get_total_flops() == told.forward_flops * B * T
    assert backward.get_total_flops() == told.backward_flops * B * T


@pytest.mark.parametrize("changes", KINDS)
def test_activations_are_those_that_autograd_keeps(changes):
    config = GPTConfig(**SIZES, **changes)
    model = GPT(config)
    ids = torch.randint(config.vocab_size, (B, T))
    own = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    kept, alive = {}, []

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.numel() > 1:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)  # so that no address is used twice
        return tensor

    targets = torch.randint(config.vocab_size, (B, T))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = next_token_loss(model(ids), targets)
    assert loss.isfinite()
    assert sum(kept.values()) == describe(config).activation_bytes * B * T


def test_the_cache_takes_the_bytes_that_were_told():
    config = GPTConfig(**SIZES, n_kv_head=1)
    cache = KVCache(config, batch_size=B)
    held = sum(t.nbytes for layer in cache.layers for t in (layer.keys, layer.values))
    assert held == describe(config).kv_cache_bytes * config.context_length * B


def test_experts_that_rest_do_not_count_as_active():
    config = GPTConfig(**SIZES, n_expert=5, n_expert_active=2, mlp="relu")
    told = describe(config)
    assert told.n_params - told.n_active_params == 3 * 3 * (2 * 20 * 80)


def test_an_encoder_has_the_parameters_of_its_paper():
    base, large = (describe(BERTConfig.preset(f"bert-{s}")).n_params for s in ("base", "large"))
    assert base == pytest.approx(110e6, rel=0.005)
    assert large == pytest.approx(340e6, rel=0.02)


def test_an_encoder_decoder_has_the_parameters_of_its_paper():
    told = describe(Seq2SeqConfig.preset("transformer-base"))
    assert told.n_params == pytest.approx(65e6, rel=0.06)
    assert told.activation_bytes is None


def test_the_table_is_readable_and_a_length_of_zero_is_refused():
    assert "124,439,808" in str(describe(GPTConfig.preset("gpt2")))
    with pytest.raises(ValueError, match="n_tokens=0"):
        describe(GPTConfig.preset("tiny"), n_tokens=0)
