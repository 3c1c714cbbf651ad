"""LoRA: a start that changes nothing, merged equal to unmerged, files that know their base."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
import torch
from mutations import damaged_bytes
from safetensors.torch import save_file
from torch import nn

from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig
from llmbook.files import read_tensors
from llmbook.lora import (
    LoRALinear,
    adapters,
    apply_lora,
    load_lora,
    lora_parameters,
    merge_lora,
    save_lora,
    unmerge_lora,
)
from llmbook.models import BERT, GPT, Seq2Seq
from llmbook.quantize import quantize
from llmbook.train import TrainConfig, train

ALL = ("query", "key", "value", "out", "up", "gate", "down")
IDS = torch.randint(29, (3, 7), generator=torch.Generator().manual_seed(0))


def build(kind: str = "gpt") -> nn.Module:
    torch.manual_seed(0)
    if kind == "bert":
        return BERT(BERTConfig(29, 11, 2, 2, 12, mlm_head=True)).eval()
    if kind == "seq2seq":
        return Seq2Seq(Seq2SeqConfig(29, 11, 2, 2, 12)).eval()
    return GPT(GPTConfig(29, 11, 2, 2, 12)).eval()


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        if isinstance(model, BERT):
            return model(IDS).logits
        return model(IDS, IDS[:, :5]) if isinstance(model, Seq2Seq) else model(IDS)


def trained(model: nn.Module, rank: int = 3, **options) -> nn.Module:
    """Adapters as training leaves them: B is no longer zero."""
    apply_lora(model, rank, **options)
    generator = torch.Generator().manual_seed(1)
    for _, layer in adapters(model):
        with torch.no_grad():
            layer.lora_b.copy_(torch.randn(layer.lora_b.shape, generator=generator) / 3)
    return model


def test_an_adapter_by_hand():
    base = nn.Linear(2, 1, bias=False)
    layer = LoRALinear(base, rank=1, alpha=3.0)
    with torch.no_grad():
        base.weight.copy_(torch.tensor([[1.0, 10.0]]))
        layer.lora_a.copy_(torch.tensor([[2.0, 1.0]]))
        layer.lora_b.copy_(torch.tensor([[5.0]]))
    # base 1·1 + 10·2 = 21; adapter 3/1 · 5 · (2·1 + 1·2) = 60
    assert layer(torch.tensor([1.0, 2.0])).item() == 81.0
    assert layer.weight.tolist() == [[31.0, 25.0]]


@pytest.mark.parametrize("kind", ["gpt", "bert", "seq2seq"])
def test_a_model_with_new_adapters_is_still_the_same(kind):
    expected = logits(build(kind))
    model = apply_lora(build(kind), targets=ALL, dropout=0.5)
    assert torch.equal(logits(model), expected)


@pytest.mark.parametrize("kind", ["gpt", "bert", "seq2seq"])
def test_merged_and_unmerged_give_the_same_logits(kind):
    model = trained(build(kind), targets=ALL)
    apart = logits(model)
    assert (apart - logits(build(kind))).abs().max() > 0.01
    merged = logits(merge_lora(merge_lora(model)))  # twice is once
    torch.testing.assert_close(merged, apart, atol=1e-5, rtol=0)
    torch.testing.assert_close(logits(unmerge_lora(model)), apart, atol=1e-5, rtol=0)
    base = build(kind).state_dict()
    for name, layer in adapters(model):
        torch.testing.assert_close(layer.base.weight, base[f"{name}.weight"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["gpt", "bert", "seq2seq"])
def test_a_model_merged_for_good_has_the_names_of_a_plain_one(kind):
    model = trained(build(kind), targets=ALL)
    apart = logits(model)
    merge_lora(model, keep=False)
    assert list(model.state_dict()) == list(build(kind).state_dict())
    torch.testing.assert_close(logits(model), apart, atol=1e-5, rtol=0)
    apply_lora(model)  # and may be adapted again


def test_only_adapters_are_trained_and_the_base_stays_bit_for_bit():
    model = apply_lora(build(), rank=5)
    tokens = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
    run = TrainConfig(steps=30, batch_size=3, learning_rate=1e-1, warmup_steps=1)
    history = train(model, tokens[:12], config=run, progress=False)
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    wanted = {id(p) for p in lora_parameters(model)}
    assert len(wanted) == 2 * 2 * 2  # layers, query and value, A and B
    assert {id(p) for p in model.parameters() if p.requires_grad} == wanted
    for name, tensor in build().state_dict().items():
        for target in ("query", "value"):
            name = name.replace(f"{target}.weight", f"{target}.base.weight")
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_run_with_adapters_resumes(tmp_path):
    tokens = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
    run = TrainConfig(steps=4, batch_size=3, checkpoint_every=2, optimizer="muon")

    def stop(step: int, _: nn.Module) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole = apply_lora(build())
    train(whole, tokens, config=run, progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(apply_lora(build()), tokens, config=run, out_dir=tmp_path, progress=False,
              on_step=stop)  # fmt: skip
    resumed = apply_lora(build())
    train(resumed, tokens, config=run, out_dir=tmp_path, progress=False)
    for one, other in zip(lora_parameters(whole), lora_parameters(resumed), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantised_model_is_adapted_trained_and_refuses_to_be_merged(bits):
    model = quantize(build(), bits=bits, group_size=4)
    before = logits(model)
    assert torch.equal(logits(apply_lora(model, rank=3, targets=ALL)), before)
    tokens = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
    codes = {n: t.clone() for n, t in model.state_dict().items() if "lora" not in n}
    run = TrainConfig(steps=30, batch_size=3, learning_rate=3e-2, warmup_steps=1)
    history = train(model, tokens[:12], config=run, progress=False)
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert all(torch.equal(model.state_dict()[n], t) for n, t in codes.items())
    with pytest.raises(ValueError, match="a QuantisedLinear without a floating-point weight"):
        merge_lora(model)


def test_dropout_touches_the_adapter_alone_and_only_while_training():
    layer = LoRALinear(nn.Linear(7, 5), rank=3, alpha=3.0, dropout=0.5)
    x = torch.randn(11, 7)
    assert torch.equal(layer(x), layer.base(x))  # B is zero
    nn.init.ones_(layer.lora_b)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))


def test_saved_adapters_come_back_and_are_small(tmp_path):
    model = trained(build(), targets=["query", "down"], alpha=7.0, dropout=0.25)
    path = tmp_path / "adapter.safetensors"
    save_lora(model, path)
    tensors, header = read_tensors(path)
    assert len(tensors) == 2 * len(list(adapters(model)))
    assert header["base"] == "GPT"
    again = load_lora(build(), path)
    assert torch.equal(logits(again), logits(model))
    assert {layer.dropout.p for _, layer in adapters(again)} == {0.25}


def test_adapters_of_another_base_are_refused(tmp_path):
    path = tmp_path / "adapter.safetensors"
    save_lora(trained(build()), path)
    wide = GPT(GPTConfig(29, 11, 2, 2, 20))
    flat = GPT(GPTConfig(29, 11, 1, 2, 12))
    for other in (wide, flat, build("bert"), build("seq2seq")):
        with pytest.raises(ValueError, match="load the model that it was trained on"):
            load_lora(other, path)
        assert not list(adapters(other))  # and it is as it was


@pytest.mark.parametrize(
    "layers",
    ["[]", "{}", "nonsense", '{"blocks.0.attention.query": 3}',
     '{"blocks.0.attention.query": {"scale": NaN, "dropout": 0}}',
     '{"blocks.0.attention.query": {"scale": 1, "dropout": 2}}'],
)  # fmt: skip
def test_a_file_without_adapters_is_refused(tmp_path, layers):
    path = tmp_path / "adapter.safetensors"
    name = "blocks.0.attention.query.lora_"
    tensors = {f"{name}a": torch.zeros(3, 12), f"{name}b": torch.zeros(12, 3)}
    header = {"format": "llmbook.lora", "base": "GPT", "layers": layers}
    save_file(tensors, path, metadata=header)
    with pytest.raises(ValueError, match="holds no adapters"):
        load_lora(build(), path)


@pytest.mark.parametrize(("a", "b"), [((), (12, 3)), ((3, 12), ()), ((3, 11), (12, 3)),
                                      ((12, 3), (3, 12)), ((2, 12), (12, 3))])  # fmt: skip
def test_adapters_of_odd_shapes_are_refused(tmp_path, a, b):
    path = tmp_path / "adapter.safetensors"
    name = "blocks.0.attention.query"
    layers = json.dumps({name: {"scale": 1.0, "dropout": 0.0}})
    save_file({f"{name}.lora_a": torch.zeros(a), f"{name}.lora_b": torch.zeros(b)}, path,
              metadata={"format": "llmbook.lora", "base": "GPT", "layers": layers})  # fmt: skip
    with pytest.raises(ValueError, match="does not fit"):
        load_lora(build(), path)


def test_damaged_adapters_are_refused_or_harmless(tmp_path):
    path = tmp_path / "adapter.safetensors"
    save_lora(trained(build()), path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    model, refused = build(), 0
    for seed in range(2000):
        path.write_bytes(damaged_bytes(content, random.Random(seed), header))
        try:
            load_lora(model, path)
        except ValueError:
            refused += 1  # and the model is as it was
        else:
            logits(model)
            model = build()
    assert not list(adapters(model))
    assert 1000 < refused < 2000


def test_refusals_name_the_remedy():
    with pytest.raises(ValueError, match="rank=0"):
        apply_lora(build(), rank=0)
    with pytest.raises(ValueError, match=r"no linear layer is called \['q_proj'\]: there are"):
        apply_lora(build(), targets=["q_proj"])
    with pytest.raises(ValueError, match="call apply_lora first"):
        merge_lora(build())
    with pytest.raises(ValueError, match="adapters already"):
        apply_lora(apply_lora(build()))


def test_the_start_of_an_adapter_is_the_papers():
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(101, 53), rank=31, alpha=62.0)
    assert layer.scale == 2.0
    assert (layer.lora_b == 0).all()
    assert layer.lora_a.abs().max() <= 1 / math.sqrt(101)  # as a linear layer starts
    assert layer.lora_a.std().item() == pytest.approx(1 / math.sqrt(3 * 101), rel=0.05)
