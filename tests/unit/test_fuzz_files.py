"""Thousands of damaged files: every loader gives what is in the file, or one documented error."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mutations import damaged_bytes, damaged_json

from llmbook.config import GPTConfig
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer, WordPieceTokenizer
from llmbook.train import TrainConfig, load_checkpoint, make_optimizers, train
from llmbook.weights import export_hf, load_hub_folder, load_llama

N = 2000
DOCUMENTED = (ValueError, FileNotFoundError)
SIZES = {"vocab_size": 300, "context_length": 8, "n_layer": 1, "n_head": 2, "d_model": 4}
MOST_SECONDS = 5.0
MOST_MEGABYTES = 400


def survives(path: Path, load: Callable[[], object], damage: Callable[[random.Random], bytes]):
    """Load N damaged copies; return how many of them were refused."""
    sound, refused = path.read_bytes(), 0
    load()  # the sound file is accepted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(N):
        path.write_bytes(damage(random.Random(seed)))
        started = time.process_time()
        try:
            load()
        except DOCUMENTED:
            refused += 1
        except Exception as error:
            raise AssertionError(f"mutation {seed}: {type(error).__name__}: {error}") from error
        assert time.process_time() - started < MOST_SECONDS, f"mutation {seed} took too long"
    path.write_bytes(sound)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MOST_MEGABYTES, f"loading took {grown:.0f} MB"
    load()
    return refused


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train("to be or not to be, that is the question " * 9, vocab_size=300)


@pytest.fixture
def gpt2(tmp_path, tokenizer) -> Path:
    config = GPTConfig.preset("gpt2", **SIZES)
    return export_hf(GPT(config), tokenizer, tmp_path / "gpt2")


@pytest.fixture
def llama(tmp_path, tokenizer) -> Path:
    return export_hf(GPT(GPTConfig(**SIZES, n_kv_head=1)), tokenizer, tmp_path / "llama")


def header_of(path: Path) -> int:
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def test_damaged_safetensors_of_gpt2(gpt2):
    path = gpt2 / "model.safetensors"
    content, header = path.read_bytes(), header_of(path)
    refused = survives(
        path, lambda: load_hub_folder(gpt2), lambda chance: damaged_bytes(content, chance, header)
    )
    assert refused > N // 4


def test_damaged_safetensors_of_llama(llama):
    path = llama / "model.safetensors"
    content, header = path.read_bytes(), header_of(path)
    refused = survives(
        path, lambda: load_llama(llama), lambda chance: damaged_bytes(content, chance, header)
    )
    assert refused > N // 4


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_damaged_configurations(family, request):
    folder = request.getfixturevalue(family)
    text = (folder / "config.json").read_text()
    survives(
        folder / "config.json",
        lambda: load_hub_folder(folder),
        lambda chance: damaged_json(text, chance).encode(),
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_damaged_byte_pair_tokenizers(tokenizer, tmp_path, as_json):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    content, text = path.read_bytes(), path.read_text(encoding="utf-8")
    refused = survives(
        path,
        lambda: BPETokenizer.load(path).decode(BPETokenizer.load(path).encode("to be 🙂")),
        lambda chance: (
            damaged_json(text, chance).encode() if as_json else damaged_bytes(content, chance)
        ),
    )
    assert refused > N // 4


@pytest.mark.parametrize("as_json", [False, True])
def test_damaged_wordpiece_tokenizers(tmp_path, as_json):
    trained = WordPieceTokenizer.train(["to be or not to be, that is the question"] * 9, 60)
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    content, text = path.read_bytes(), path.read_text(encoding="utf-8")
    survives(
        path,
        lambda: WordPieceTokenizer.load(path).encode("to be 🙂"),
        lambda chance: (
            damaged_json(text, chance).encode() if as_json else damaged_bytes(content, chance)
        ),
    )


def test_damaged_checkpoints(tmp_path):
    torch.manual_seed(0)
    config, settings = GPTConfig(**SIZES), TrainConfig(steps=2, batch_size=2, optimizer="muon")
    train(GPT(config), np.arange(99) % 300, None, settings, out_dir=tmp_path, progress=False)
    path = tmp_path / "checkpoint.safetensors"
    content, header = path.read_bytes(), header_of(path)
    model = GPT(config)

    def load() -> object:
        return load_checkpoint(path, model, make_optimizers(model, settings))

    refused = survives(path, load, lambda chance: damaged_bytes(content, chance, header))
    assert refused > N // 4
