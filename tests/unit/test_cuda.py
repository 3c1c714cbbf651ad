"""The same code on a CUDA card. Where there is none, the tests are skipped and say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llmbook.config import GPTConfig
from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.nn import KVCache
from llmbook.train import TrainConfig, train
from llmbook.weights import load_book_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA card here"),
]
SIZES = {"vocab_size": 61, "context_length": 32, "n_layer": 2, "n_head": 4, "d_model": 64}
KINDS = [
    {},
    {"position": "learned", "norm": "layernorm", "mlp": "gelu", "bias": True},
    {"position": "alibi", "n_kv_head": 2},
    {"position": "sinusoidal", "mlp": "relu2", "window": 5},
    {"n_expert": 3},
]


@pytest.fixture(autouse=True)
def _exact_products():
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def ids(n_row: int = 3, n_token: int = 23) -> torch.Tensor:
    return torch.randint(61, (n_row, n_token), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("changes", KINDS)
def test_logits_on_the_card_equal_those_on_the_processor(changes):
    torch.manual_seed(0)
    model, tokens = GPT(GPTConfig(**SIZES, **changes)).eval(), ids()
    expected = model(tokens)
    model.cuda()
    torch.testing.assert_close(model(tokens.cuda()).cpu(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("changes", KINDS)
def test_cached_logits_equal_uncached_ones_on_the_card(changes):
    model, tokens = GPT(GPTConfig(**SIZES, **changes)).cuda().eval(), ids().cuda()
    cache = KVCache(model.config, 3, "cuda")
    pieces = [model(tokens[:, a:b], cache=cache) for a, b in ((0, 7), (7, 8), (8, 23))]
    torch.testing.assert_close(torch.cat(pieces, 1), model(tokens), atol=1e-4, rtol=1e-4)


def test_the_books_model_writes_the_same_text_on_the_card():
    model, tokenizer = load_book_model()
    prompt = torch.tensor([tokenizer.encode("The world is a beautiful place")])
    expected = generate(model, prompt, max_new_tokens=40, temperature=0)
    model.cuda()
    assert generate(model, prompt.cuda(), max_new_tokens=40, temperature=0).tolist() == (
        expected.tolist()
    )


def test_a_seed_repeats_on_the_card():
    model = GPT(GPTConfig(**SIZES)).cuda().eval()
    first, second = (
        generate(model, ids().cuda(), max_new_tokens=9, temperature=1.0, seed=5) for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("compiled", [False, True])
def test_training_on_the_card_learns_as_on_the_processor(optimizer, compiled):
    tokens = np.arange(4000, dtype=np.uint16) % 61
    losses = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = GPT(GPTConfig(**SIZES)).to(device)
        settings = TrainConfig(
            steps=30, batch_size=8, learning_rate=3e-3, warmup_steps=3, optimizer=optimizer,
            compile=compiled and device == "cuda",
        )  # fmt: skip
        losses[device] = [r["loss"] for r in train(model, tokens, None, settings, progress=False)]
    np.testing.assert_allclose(losses["cuda"][:5], losses["cpu"][:5], rtol=1e-3)
    assert losses["cuda"][-1] < 0.5 * losses["cuda"][0]


def test_bfloat16_training_follows_float32():
    tokens = np.arange(4000, dtype=np.uint16) % 61
    last = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = GPT(GPTConfig(**SIZES)).cuda()
        settings = TrainConfig(steps=30, batch_size=8, learning_rate=3e-3, precision=precision)
        last[precision] = train(model, tokens, None, settings, progress=False)[-1]["loss"]
    assert last["bfloat16"] == pytest.approx(last["float32"], rel=0.05, abs=0.02)


def test_a_run_stopped_on_the_card_goes_on_where_it_was(tmp_path):
    tokens = np.arange(4000, dtype=np.uint16) % 61
    settings = TrainConfig(steps=10, batch_size=4, checkpoint_every=5)

    class Stopped(Exception):
        pass

    def stop(step: int, model: GPT) -> None:
        if step == 7:
            raise Stopped

    def start() -> GPT:
        torch.manual_seed(0)
        return GPT(GPTConfig(**SIZES, dropout=0.1)).cuda()

    whole = train(start(), tokens, None, settings, progress=False)
    with pytest.raises(Stopped):
        train(start(), tokens, None, settings, out_dir=tmp_path, progress=False, on_step=stop)
    resumed = train(start(), tokens, None, settings, out_dir=tmp_path, progress=False)
    np.testing.assert_allclose([r["loss"] for r in resumed], [r["loss"] for r in whole], rtol=1e-5)
