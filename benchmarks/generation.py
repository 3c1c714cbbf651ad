"""Greedy generation, batch 1: ours against transformers, same weights, prompts and tokens."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.harness import compare, row, run
from llmbook.config import GPTConfig
from llmbook.decode import AT_ONCE, Prepared
from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.quantize import load_gguf_quantised, quantize
from llmbook.weights import export_hf
from llmbook.weights.smollm2 import smollm2_path

PROMPT = 16
TINY = GPTConfig(512, 512, 4, 4, 128, position="learned", norm="layernorm", mlp="gelu", bias=True)
LLAMA = GPTConfig(512, 512, 4, 4, 128, d_ff=352)
Work = Callable[[], torch.Tensor]
Way = tuple[int | str | None, str]
ONE, SEVERAL = "compiled", f"compiled, {AT_ONCE} tokens a call"
"""Of ways: the bits of the weights, and how a step is made: as it is (""), or one of these."""


def measure() -> dict[str, Any]:
    """4 layers of width 128; `generation_gpt2` and `generation_smollm2` are the larger shapes."""
    torch.manual_seed(0)
    ways: list[Way] = [(None, ""), (None, SEVERAL)]
    return {
        "rows": [
            *rows("4 layers × 128, GPT-2 style", GPT(TINY).eval(), 256, 5.0, ways, 7),
            *rows("4 layers × 128, Llama style", GPT(LLAMA).eval(), 256, 5.0, ways, 7),
        ]
    }


def rows(
    shape: str, model: GPT, n_new: int, goal: float | None, ways: list[Way], rounds: int = 3
) -> list[dict[str, Any]]:
    """One row for each way of ours."""
    import transformers

    model.requires_grad_(False)
    ids = torch.arange(1, PROMPT + 1)[None]
    with tempfile.TemporaryDirectory() as folder:
        export_hf(model, None, folder)
        peer = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    length = {"max_new_tokens": n_new, "min_new_tokens": n_new, "eos_token_id": None}

    def theirs() -> torch.Tensor:
        return peer.generate(ids, do_sample=False, pad_token_id=0, **length)

    expected, found = theirs(), []
    for bits, how in ways:
        if bits == "Q4_1":
            model = load_gguf_quantised(smollm2_path())[0]
        elif bits is not None:
            model = quantize(model, bits=int(bits))
        ours, seconds = _ours(model, ids, n_new, how)
        same = torch.equal(ours(), expected)
        if bits is None and not same:
            raise AssertionError("both must write the same tokens, or the times mean nothing")
        form = "float32" if bits is None else f"int{bits}" if bits in (4, 8) else f"{bits} + int8"
        note = f"compiled in {seconds:.0f} s of wall time" if how else "not compiled"
        tokens = "identical tokens" if same else "tokens differ, as the weights do"
        work = f"{n_new} greedy tokens, {shape}, {form}{', ' if how else ''}{how}"
        against = f"transformers {transformers.__version__}, float32, KV cache"
        measured = compare(ours, theirs, rounds=rounds)
        found.append(row(work, against, goal, measured, f"{note}; {tokens}"))
    return found


def _ours(model: GPT, ids: torch.Tensor, n_new: int, how: str) -> tuple[Work, float]:
    """Our way, and the seconds until its first tokens."""
    fast = Prepared(model, context_length=ids.shape[1] + n_new, compile=bool(how))

    def write(n: int) -> torch.Tensor:
        if how == SEVERAL:
            return fast.greedy(ids, n)
        return generate(fast, ids, max_new_tokens=n, temperature=0)

    started = time.perf_counter()
    write(2)
    seconds = time.perf_counter() - started
    return lambda: write(n_new), seconds


def read_gb_per_s(n_bytes: int = 1 << 29) -> dict[str, float]:
    """GB/s of CPU time at which one matrix of so many bytes is multiplied with a vector.

    A small one is read several times: what fits into the processor's caches is found faster.
    """
    matrix, x = torch.ones(512, n_bytes // 2048), torch.ones(1, 512)
    times = max(1, (1 << 29) // n_bytes)

    def read() -> None:
        for _ in range(times):
            x @ matrix

    seconds = compare(read, matrix.sum, 5)["ours"]
    slowest_is_low = {"median": "median", "low": "high", "high": "low"}
    return {
        k: float(f"{times * n_bytes / seconds[s] / 1e9:.3g}") for k, s in slowest_is_low.items()
    }


if __name__ == "__main__":
    run("generation", measure)
