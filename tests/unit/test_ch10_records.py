"""The decoding record that chapter 10 shows, and the code behind it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch

import record_decoding
from llmbook.config import GPTConfig
from llmbook.describe import describe
from llmbook.models import GPT
from llmbook.quantize import quantize
from record_decoding import NEW_TOKENS, PROMPT, WAYS, bytes_per_token

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"vocab_size": 61, "context_length": 64, "n_layer": 2, "n_head": 2, "d_model": 32}
FAST = ("cache", "prepared", "compiled")


@pytest.fixture(scope="module")
def recorded() -> dict:
    return json.loads((ROOT / "results/decoding.json").read_text(encoding="utf-8"))


@pytest.fixture
def small() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig.preset("gpt2", **SIZES)).eval().requires_grad_(False)


def test_the_record_says_where_when_and_with_what(recorded):
    assert recorded["threads"] == 1
    assert recorded["command"] == "python scripts/record_decoding.py"
    assert set(recorded["versions"]) == {"llmbook", "python", "torch"}
    assert len(recorded["commit"]) == 12
    assert "one thread" in recorded["machine"]


def test_the_record_holds_every_way_at_both_shapes_with_its_range(recorded):
    assert [m["name"] for m in recorded["models"]] == ["book", "gpt2"]
    for model in recorded["models"]:
        assert [row["way"] for row in model["ways"]] == list(WAYS)
        assert model["rounds"] >= 5
        for row in model["ways"]:
            for key in ("ms_per_token", "tokens_per_s", "read_gb_per_s"):
                assert row[key]["low"] <= row[key]["median"] <= row[key]["high"]
            product = row["ms_per_token"]["median"] * row["tokens_per_s"]["median"]
            assert product == pytest.approx(1000, rel=2e-3)
        assert all(row["same_tokens"] for row in model["ways"] if row["way"] in FAST)


def test_bounds_are_bandwidth_over_bytes(recorded):
    for model in recorded["models"]:
        for row in model["ways"]:
            bound = 1e9 * recorded["read_gb_per_s"]["median"] / row["bytes_per_token"]
            assert row["bound_tokens_per_s"] == pytest.approx(bound, rel=1e-3)
            same = 1e9 * row["read_gb_per_s"]["median"] / row["bytes_per_token"]
            assert row["same_size_bound_tokens_per_s"] == pytest.approx(same, rel=1e-3)


def test_a_cache_and_a_step_made_ready_each_pay_and_no_way_beats_its_bound(recorded):
    for model in recorded["models"]:
        rate = {row["way"]: row["tokens_per_s"]["median"] for row in model["ways"]}
        assert rate["recompute"] < rate["cache"] < rate["prepared"]
        for row in model["ways"]:
            highest = max(row["bound_tokens_per_s"], row["same_size_bound_tokens_per_s"])
            assert rate[row["way"]] < 1.1 * highest, "noise of a shared machine aside"


def test_bytes_of_the_published_shape_counted_by_hand():
    model = GPT(GPTConfig.preset("gpt2", n_layer=1)).requires_grad_(False)
    read = describe(model.config).n_params - 1024 * 768  # one row of the positions is looked up
    assert bytes_per_token(model, "recompute", 32) == 4 * read
    token = 2 * 768 * 4
    assert bytes_per_token(model, "cache", 32) == 4 * read + (PROMPT + 16) * token
    assert bytes_per_token(model, "compiled", 32) == 4 * read + (PROMPT + 32) * token


def test_eight_bits_are_about_a_quarter_of_the_bytes(small):
    codes = quantize(copy.deepcopy(small), bits=8)
    share = bytes_per_token(codes, "recompute", 32) / bytes_per_token(small, "recompute", 32)
    assert 0.25 < share < 0.5  # scales, norms and biases stay in floats, and weigh much here


def test_every_way_writes_the_same_text(small, monkeypatch):
    class Uncompiled(record_decoding.Prepared):
        def __init__(self, model, room, compile=False):
            super().__init__(model, room)  # what is compiled is tested in test_decode

    monkeypatch.setattr(record_decoding, "Prepared", Uncompiled)
    ids = torch.arange(1, PROMPT + 1)[None]
    texts = {n: write() for n, write in record_decoding.writers(small, small, ids, 7).items()}
    assert list(texts) == list(WAYS)
    for text in texts.values():
        assert torch.equal(text, texts["recompute"])
        assert text.shape == (1, PROMPT + 7)


def test_prompt_and_answer_fit_the_models():
    assert PROMPT + NEW_TOKENS["book"] <= GPTConfig.preset("book").context_length
