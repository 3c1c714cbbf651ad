"""Greedy generation with SmolLM2-135M, float32 and quantised, beside transformers in float32."""

from __future__ import annotations

from typing import Any

from benchmarks.generation import ONE, read_gb_per_s, rows
from benchmarks.harness import run
from llmbook.weights import load_smollm2


def measure() -> dict[str, Any]:
    """Real weights; what the quantised forms cost in loss stands in results/quantisation.json."""
    model, shape = load_smollm2()[0], "SmolLM2-135M"
    return {
        "read_gb_per_s": read_gb_per_s(),
        "weights_read_per_token_gb": 4 * model.n_params() / 1e9,
        "rows": [
            *rows(shape, model, 128, 1.3, [(None, "")]),
            *rows(shape, model, 128, 2.0, [(8, ONE), ("Q4_1", ONE)]),
        ],
    }


if __name__ == "__main__":
    run("generation_smollm2", measure)
