"""Weights in few bits: how far each may move, what is shared, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from llmbook.config import GPTConfig
from llmbook.models import GPT
from llmbook.nn import KVCache
from llmbook.quantize import QuantisedLinear, load_quantised, n_bytes, quantize, save_quantised
from llmbook.weights.gguf_blocks import Q41

LLAMA = GPTConfig(31, 19, 2, 6, 24, n_kv_head=2, d_ff=40)
GPT2 = LLAMA.replace(position="learned", norm="layernorm", mlp="gelu", bias=True)
UNTIED = LLAMA.replace(tie_embeddings=False)
CONFIGS = pytest.mark.parametrize("config", [LLAMA, GPT2, UNTIED], ids=["llama", "gpt2", "untied"])
BITS = pytest.mark.parametrize("bits", [8, 4])


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_eight_bits_as_worked_by_hand():
    weight = torch.tensor([[127.0, -63.6, 0.4], [0.0, 0.0, 0.0], [-2.54, 1.0, 0.02]])
    layer = QuantisedLinear.from_float(weight, None, 8, 0)
    assert layer.codes.tolist() == [[127, -64, 0], [0, 0, 0], [-127, 50, 1]]
    torch.testing.assert_close(layer.scale, torch.tensor([[1.0], [1.0], [0.02]]))


def test_four_bits_as_worked_by_hand():
    weight = torch.tensor([[1.0, 2.0, 16.0, 9.4, 5.0, 5.0, 5.0, 5.0]])
    layer = QuantisedLinear.from_float(weight, None, 4, 4)
    # The first group: scale (16 - 1) / 15 = 1, minimum 1, codes 0 1 15 8; low halves are 0 and 1.
    assert layer.codes.tolist() == [[[0 + 15 * 16, 1 + 8 * 16], [0, 0]]]
    expected = torch.tensor([[1.0, 2.0, 16.0, 9.0, 5.0, 5.0, 5.0, 5.0]])
    torch.testing.assert_close(layer.dequantise(), expected)


@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
@settings(max_examples=50, deadline=None)
def test_no_weight_moves_by_more_than_half_its_scale(seed, size):
    weight = size * normal(5, 28, seed=seed) + size * normal(5, 1, seed=seed + 1)
    for bits in (8, 4):
        layer = QuantisedLinear.from_float(weight, None, bits, 14)
        scale = layer.scale if bits == 8 else layer.scale.repeat_interleave(14, dim=1)
        moved = (layer.dequantise() - weight).abs()
        rounding = 4 * torch.finfo(torch.float32).eps * weight.abs().max()
        assert bool((moved <= scale / 2 + rounding).all())


@BITS
def test_the_product_is_that_of_the_dequantised_matrix(bits):
    layer = QuantisedLinear.from_float(normal(11, 24), normal(11, seed=1), bits, 6)
    for shape in [(24,), (1, 24), (3, 5, 24)]:
        x = normal(*shape, seed=2)
        torch.testing.assert_close(layer(x), F.linear(x, layer.dequantise(), layer.bias))
        torch.testing.assert_close(
            layer._dot(x.reshape(-1, 24)[0]) + layer.bias, layer(x).reshape(-1, 11)[0]
        )


@BITS
def test_joined_layers_give_their_outputs_side_by_side(bits):
    layers = [QuantisedLinear.from_float(normal(n, 24), normal(n), bits, 8) for n in (3, 7, 5)]
    x = normal(2, 24, seed=3)
    together = QuantisedLinear.joined(layers)(x)
    torch.testing.assert_close(together, torch.cat([layer(x) for layer in layers], dim=-1))


def test_blocks_of_a_file_are_taken_as_they_are():
    raw = torch.randint(256, (7 * 3 * 20,), generator=torch.Generator().manual_seed(0))
    raw = raw.to(torch.uint8).view(-1, 20)
    raw[:, [1, 3]] &= 0x3F  # no infinities among the scales
    blocks = Q41.from_bytes(raw.numpy(), n_row=7)
    layer = QuantisedLinear.from_blocks(blocks)
    assert torch.equal(layer.dequantise(), blocks.dequantize())
    assert layer.codes is blocks.nibbles


@CONFIGS
@BITS
def test_a_quantised_model_is_the_model_with_the_dequantised_weights(config, bits):
    torch.manual_seed(0)
    model = GPT(config).eval()
    ids = torch.randint(31, (2, 13), generator=torch.Generator().manual_seed(1))
    before = model(ids).detach()
    reference = GPT(config).eval()
    reference.load_state_dict(model.state_dict())
    assert quantize(model, bits, group_size=8) is model
    for name, layer in model.named_modules():
        if isinstance(layer, QuantisedLinear):
            reference.get_submodule(name).weight.data = layer.dequantise()
    if config.tie_embeddings:
        reference.token_embedding.weight = reference.output.weight
    torch.testing.assert_close(model(ids), reference(ids))
    assert 0 < (model(ids) - before).abs().max() < (0.05 if bits == 8 else 0.5)


@CONFIGS
def test_a_quantised_model_reads_with_a_cache_and_has_no_float_matrix_left(config):
    model = quantize(GPT(config).eval(), bits=4, group_size=8)
    ids = torch.randint(31, (2, 13), generator=torch.Generator().manual_seed(1))
    cache = KVCache(config, batch_size=2)
    parts = [model(part, cache=cache) for part in ids.split([7, 1, 5], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids))
    assert not any(isinstance(m, torch.nn.Linear) for m in model.modules())
    assert model.output.codes.dtype == torch.int8  # the output layer keeps 8 bits
    assert model.device == torch.device("cpu")


def test_tied_embeddings_are_rows_of_the_output_layer_and_stored_once():
    model = quantize(GPT(LLAMA).eval())
    ids = torch.tensor([[3, 30]])
    torch.testing.assert_close(model.token_embedding(ids)[0], model.output.dequantise()[[3, 30]])
    names = [name for name in model.state_dict() if "embedding" in name]
    assert names == []


def test_memory_falls_to_about_a_quarter_and_a_sixth():
    config = GPTConfig(499, 64, 2, 4, 128)
    full = 4 * GPT(config).n_params()
    sizes = [n_bytes(quantize(GPT(config), bits)) / full for bits in (8, 4)]
    assert 0.25 < sizes[0] < 0.28
    assert 0.18 < sizes[1] < 0.23


def test_a_quantised_state_is_loaded_again():
    model, other = (quantize(GPT(GPT2).eval(), 4, 8) for _ in range(2))
    other.load_state_dict(model.state_dict())
    ids = torch.tensor([[3, 30, 7]])
    assert torch.equal(model(ids), other(ids))


@pytest.mark.parametrize(
    ("bits", "group_size", "message"),
    [
        (5, 8, "bits=5: choose 8 or 4"),
        (4, 7, "group_size=7: choose an even number"),
        (4, 0, "group_size=0"),
        (4, 16, "group_size=16 does not divide rows of 24 weights"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_touched(bits, group_size, message):
    model = GPT(LLAMA)
    with pytest.raises(ValueError, match=message):
        quantize(model, bits, group_size)
    assert isinstance(model.output, torch.nn.Linear)


@CONFIGS
@BITS
def test_a_quantised_model_comes_back_from_its_file_bit_for_bit(config, bits, tmp_path):
    model = quantize(GPT(config).eval(), bits, 4)
    save_quantised(model, tmp_path / "model.safetensors")
    loaded = load_quantised(tmp_path / "model.safetensors")
    ids = torch.arange(17)[None] % config.vocab_size
    assert torch.equal(loaded(ids), model(ids))
    assert not loaded.training
    assert n_bytes(loaded) == n_bytes(model)
    assert loaded.config == config


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="holds no quantised model"):
        load_quantised(path)
    save_quantised(quantize(GPT(LLAMA)), path)
    tensors = load_file(path) | {"output.codes": torch.zeros(31, 12, dtype=torch.int8)}
    header = {"quantised": json.dumps(asdict(LLAMA))}
    save_file(tensors, path, metadata=header)
    with pytest.raises(ValueError, match="output has another shape"):
        load_quantised(path)


@pytest.fixture(scope="module")
def smollm2():
    """SmolLM2 with its blocks as they are, and in floats."""
    from llmbook.quantize import load_gguf_quantised
    from llmbook.weights import load_smollm2
    from llmbook.weights.smollm2 import smollm2_path

    try:
        path = smollm2_path()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return load_gguf_quantised(path)[0], load_smollm2()[0]


def test_smollm2s_blocks_give_the_loaders_weights_bit_for_bit(smollm2):
    quantised, floats = smollm2
    count = 0
    for name, layer in quantised.named_modules():
        if isinstance(layer, QuantisedLinear) and layer.minimum is not None:
            assert torch.equal(layer.dequantise(), floats.get_submodule(name).weight)
            count += 1
    assert count == 210  # 30 layers of 7 matrices
    rounding = (quantised.output.dequantise() - floats.output.weight).abs()
    assert bool((rounding <= quantised.output.scale * 0.5001).all())
