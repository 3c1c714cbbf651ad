"""Greedy generation at GPT-2-small's shape, float32 and int8, beside transformers in float32."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.generation import ONE, read_gb_per_s, rows
from benchmarks.harness import run
from llmbook.config import GPTConfig
from llmbook.models import GPT


def measure() -> dict[str, Any]:
    """Random weights: what is written means nothing, and is the same for both."""
    torch.manual_seed(0)
    model = GPT(GPTConfig.preset("gpt2")).eval()
    shape = "GPT-2-small shape"
    return {
        "read_gb_per_s": read_gb_per_s(),
        "weights_read_per_token_gb": 4 * (model.n_params() - 1024 * 768) / 1e9,
        "rows": [
            *rows(shape, model, 48, 1.4, [(None, "")]),
            *rows(shape, model, 48, 2.5, [(8, ONE)]),
        ],
    }


if __name__ == "__main__":
    run("generation_gpt2", measure)
