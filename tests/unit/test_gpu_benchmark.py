"""What benchmarks.gpu times is checked on the processor: the right tokens, the same losses."""

from __future__ import annotations

import torch
from benchmarks.gpu import Decoder, Logits, _our_model, _step, _their_model

from llmbook.config import GPTConfig
from llmbook.generate import generate
from llmbook.models import GPT

SIZES = {"vocab_size": 61, "context_length": 32, "n_layer": 2, "n_head": 4, "d_model": 64}


def test_decoding_with_fixed_shapes_writes_what_generate_writes():
    torch.manual_seed(0)
    for changes in ({}, {"position": "learned", "norm": "layernorm", "mlp": "gelu", "bias": True}):
        model = GPT(GPTConfig(**SIZES, **changes)).eval()
        expected = generate(model, torch.tensor([[11]]), max_new_tokens=20, temperature=0)
        decoder = Decoder(model)
        for _ in range(2):  # the second text must not see the first
            written = [int(token) for token in decoder.write(11, 20)]
            assert written == expected[0, 1:].tolist()


def test_both_sides_take_the_same_training_step():
    config = GPTConfig.preset("gpt2", **SIZES)
    ours, theirs = _our_model(config), _their_model(config)
    assert isinstance(theirs, Logits)
    assert sum(p.numel() for p in theirs.parameters()) == ours.n_params()
    ids = torch.randint(61, (2, 33), generator=torch.Generator().manual_seed(0))
    for model in (ours, theirs):
        before = [p.detach().clone() for p in model.parameters()]
        _step(model, ids, compiled=False)()
        moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        assert all(moved)
