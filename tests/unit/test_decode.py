"""A prepared model writes what the model writes, faster; what it cannot do it leaves to it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch

from llmbook.config import GPTConfig
from llmbook.decode import Prepared
from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.nn import KVCache
from llmbook.quantize import quantize

LLAMA = GPTConfig(31, 29, 2, 6, 24, n_kv_head=2, d_ff=40)
CONFIGS = {
    "llama": LLAMA,
    "gpt2": LLAMA.replace(position="learned", norm="layernorm", mlp="gelu", bias=True, n_kv_head=6),
    "relu2, no positions, untied": LLAMA.replace(
        position="none", mlp="relu2", tie_embeddings=False
    ),
    "sinusoidal": LLAMA.replace(position="sinusoidal", mlp="gelu_erf"),
    "alibi": LLAMA.replace(position="alibi"),
    "window": LLAMA.replace(window=5),
    "experts": LLAMA.replace(n_expert=3),
    "norms after": LLAMA.replace(norm_first=False),
}
EVERY = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def build(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def draw_ids(batch: int = 3, length: int = 23) -> torch.Tensor:
    return torch.randint(31, (batch, length), generator=torch.Generator().manual_seed(1))


def read(model: Prepared, ids: torch.Tensor) -> torch.Tensor:
    """Logits with a prompt of seven tokens and the others one by one."""
    cache = KVCache(model.config, batch_size=len(ids))
    cuts = [7] + [1] * (ids.shape[1] - 7)
    return torch.cat([model(part, cache=cache) for part in ids.split(cuts, dim=1)], dim=1)


@EVERY
def test_its_logits_are_the_models(config):
    model, ids = build(config), draw_ids()
    torch.testing.assert_close(read(Prepared(model), ids), model(ids), atol=1e-4, rtol=1e-4)


@EVERY
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_it_writes_the_same_tokens(config, temperature):
    model, ids = build(config), draw_ids(2, 5)
    settings = {"max_new_tokens": 17, "temperature": temperature, "seed": 0}
    assert torch.equal(generate(Prepared(model), ids, **settings), generate(model, ids, **settings))


@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantised_model_can_be_prepared(bits):
    model, ids = quantize(build(LLAMA), bits, 8), draw_ids()
    torch.testing.assert_close(read(Prepared(model), ids), model(ids), atol=1e-4, rtol=1e-4)


def test_tokens_taken_back_and_reordered_rows_leave_no_trace():
    model, ids = build(LLAMA), draw_ids()
    fast, cache = Prepared(model), KVCache(LLAMA, batch_size=3)
    fast(ids[:, :7], cache=cache)
    fast(ids[:, 9:10], cache=cache)
    cache.truncate(7)
    cache.reorder(torch.tensor([2, 0, 1]))
    got = fast(ids[[2, 0, 1], 7:8], cache=cache)
    torch.testing.assert_close(got, model(ids[[2, 0, 1]])[:, 7:8], atol=1e-4, rtol=1e-4)


def test_prompts_of_different_lengths_are_left_to_the_model():
    model = build(LLAMA)
    prompts = [[3, 1, 4], [1, 5, 9, 2, 6]]
    settings = {"max_new_tokens": 7, "temperature": 0}
    assert generate(Prepared(model), prompts, **settings) == generate(model, prompts, **settings)


def test_a_text_beyond_the_room_is_read_through_a_window_or_refused():
    model, ids = build(LLAMA), draw_ids(1, 7)
    fast = Prepared(model, context_length=11)
    assert generate(fast, ids, max_new_tokens=9, temperature=0).shape == (1, 16)
    cache = KVCache(fast.config)
    fast(ids, cache=cache)
    for _ in range(4):
        fast(ids[:, :1], cache=cache)
    with pytest.raises(ValueError, match="room for 11 tokens and would need 12"):
        fast(ids[:, :1], cache=cache)
    with pytest.raises(ValueError, match="context_length=30: give 1 to the model's 29"):
        Prepared(model, context_length=30)


def test_several_tokens_a_call_need_a_compiled_step_and_room():
    ids = torch.arange(7)[None]
    with pytest.raises(ValueError, match="greedy needs Prepared"):
        Prepared(build(LLAMA)).greedy(ids, 3)
    with pytest.raises(ValueError, match="greedy needs Prepared"):
        Prepared(build(CONFIGS["alibi"]), compile=True).greedy(ids, 3)
    with pytest.raises(ValueError, match="30 tokens do not fit into context_length=29"):
        Prepared(build(LLAMA), compile=True).greedy(ids, 23)


COMPILED = """
import torch
from llmbook.config import GPTConfig
from llmbook.decode import Prepared
from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.nn import KVCache
from llmbook.quantize import quantize

torch.set_num_threads(1)
config = GPTConfig(31, 29, 1, 6, 24, n_kv_head=2, d_ff=40)
for bits, rooms in ((None, (13, 11)), (8, (13,)), (4, (13,))):  # each is compiled for itself
    torch.manual_seed(0)
    model = GPT(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    if bits:
        quantize(model, bits, 8)
    fast, ids = Prepared(model, context_length=13, compile=True), torch.arange(11)[None]
    for room in rooms:
        cache = KVCache(config, capacity=room)
        read = torch.cat([fast(part, cache=cache) for part in ids.split(1, dim=1)], dim=1)
        torch.testing.assert_close(read, model(ids), atol=1e-4, rtol=1e-4)

torch.manual_seed(0)
gpt2 = GPTConfig(31, 29, 1, 3, 24, position="learned", norm="layernorm", mlp="gelu", bias=True)
model = GPT(gpt2).eval().requires_grad_(False)
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
fast, ids = Prepared(model, compile=True), torch.arange(10).view(2, 5)
for n in (0, 1, 9, 11, 24):  # one call, some and a part of one, and all the room
    expected = generate(model, ids, max_new_tokens=n, temperature=0)
    assert torch.equal(fast.greedy(ids, n), expected), n
print("the same")
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_a_compiled_step_gives_the_same_logits():
    """In an interpreter of its own: a step with the tests' shape checks is not compiled."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.stdout == "the same\n", done.stderr[-2000:]
