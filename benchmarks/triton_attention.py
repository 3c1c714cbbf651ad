"""`llmbook.nn.triton_attention` on a card, checked and timed against PyTorch's attention.

    python -m benchmarks.triton_attention --json results/triton_attention.json

No card was at hand yet: the kernels are tested in Triton's interpreter, and `results/` holds no
timings of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import seconds
from benchmarks.harness import run
from llmbook.nn.triton_attention import flash_attention


def measure() -> dict[str, Any]:
    """TFLOP/s and largest error of the naive form, PyTorch's flash kernel and ours."""
    import triton
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from llmbook.nn import attend, causal_mask

    def fused(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def naive(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        return attend(q, k, v, causal_mask(q.shape[2], device=q.device) if causal else None)[0]

    ways = {"naive": naive, "sdpa_flash": fused, "triton": flash_attention}
    rows = [
        _row(ways, n_token, causal)
        for n_token in (256, 512, 1024, 2048, 4096, 8192, 16384)
        for causal in (False, True)
    ]
    return {
        "work": "attention forward, 16 heads × 64, bfloat16, 16,384 tokens in all",
        "device": torch.cuda.get_device_name(),
        "triton": triton.__version__,
        "rows": rows,
    }


def _row(ways: dict[str, Callable[..., Tensor]], n_token: int, causal: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    batch = max(1, 16384 // n_token)
    shape = (batch, 16, n_token, 64)
    q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    exact = None
    if n_token <= 4096:  # beyond, the weights of the plain form in float32 fill the card
        exact = ways["naive"](q.float(), k.float(), v.float(), causal)
    row: dict[str, Any] = {"n_token": n_token, "batch": batch, "causal": causal}
    flops = 4 * batch * 16 * n_token**2 * 64 / (2 if causal else 1)
    for name, way in ways.items():
        if name == "naive" and n_token > 8192:
            continue
        row[name] = _measured(partial(way, q, k, v, causal), flops, exact)
    return row


def _measured(work: Callable[[], Tensor], flops: float, exact: Tensor | None) -> dict[str, Any]:
    work()  # compiles
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out = work()
    memory = torch.cuda.max_memory_allocated() - before
    error = None if exact is None else (out.float() - exact).abs().max().item()
    seconds(work, 3)
    time = statistics.median(seconds(work, 20) for _ in range(5))
    return {
        "tflops": round(flops / time / 1e12, 1),
        "microseconds": round(time * 1e6, 1),
        "extra_mib": round(memory / 2**20, 1),
        "max_error": None if error is None else float(f"{error:.2g}"),
    }


if __name__ == "__main__":
    run("triton_attention", measure)
