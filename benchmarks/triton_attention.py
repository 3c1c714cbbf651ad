"""FlashAttention's forward pass as a Triton kernel, checked and timed against PyTorch's.

    python -m benchmarks.triton_attention --json results/triton_attention.json

On a machine without a card the kernel runs in Triton's interpreter (TRITON_INTERPRET=1), slowly
and correctly; that is how it was checked, and `results/` holds no timings of it yet. Taught in
chapter 10.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from benchmarks.gpu import seconds
from benchmarks.harness import run


@triton.jit
def attention_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr,
    n_token, scale,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """One program: ROWS queries of one head against all keys, COLUMNS at a time.

    It keeps, per query, the largest score so far (m), the sum of exponentials (l) and the
    unnormalised mixture: the online softmax of Milakov and Gimelshein 2018, algorithm 3, as in
    Dao 2023, algorithm 1. Scores are in units of log 2, because 2^x is one instruction.
    """
    head = tl.program_id(1).to(tl.int64) * n_token * D  # where this (batch, head) begins
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    width = tl.arange(0, D)
    q = tl.load(q_ptr + head + rows[:, None] * D + width, mask=rows[:, None] < n_token, other=0.0)
    m = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mixed = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum((tl.program_id(0) + 1) * ROWS, n_token) if CAUSAL else n_token
    for start in range(0, end, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        inside = columns[:, None] < n_token
        k = tl.load(k_ptr + head + columns[:, None] * D + width, mask=inside, other=0.0)
        v = tl.load(v_ptr + head + columns[:, None] * D + width, mask=inside, other=0.0)
        scores = tl.dot(q, tl.trans(k)) * scale
        seen = columns[None, :] < n_token
        if CAUSAL:
            seen = seen & (columns[None, :] <= rows[:, None])
        scores = tl.where(seen, scores, -float("inf"))
        new_m = tl.maximum(m, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_m[:, None])
        correction = tl.exp2(m - new_m)
        total = total * correction + tl.sum(weights, axis=1)
        mixed = mixed * correction[:, None] + tl.dot(weights.to(v.dtype), v)
        m = new_m
    out = (mixed / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + head + rows[:, None] * D + width, out, mask=rows[:, None] < n_token)


def flash_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
    """softmax(qkᵀ/√D) v without ever storing the (T, T) weights.

    Args:
        q, k, v: (B, H, T, D), contiguous, D a power of two from 16 to 128.
        causal: each query sees itself and the keys before it.

    Raises:
        ValueError: shapes that differ, or a width that the kernel cannot tile.
    """
    if not q.shape == k.shape == v.shape:
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} must agree")
    batch, n_head, n_token, width = q.shape
    if width not in (16, 32, 64, 128):
        raise ValueError(f"D={width}: give 16, 32, 64 or 128")
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    out = torch.empty_like(q)
    rows = 128 if q.is_cuda else 16
    grid = (triton.cdiv(n_token, rows), batch * n_head)
    scale = 1 / math.sqrt(width) * math.log2(math.e)
    attention_kernel[grid](
        q, k, v, out, n_token, scale,
        D=width, ROWS=rows, COLUMNS=64 if q.is_cuda else 16, CAUSAL=causal,
        num_warps=8 if width == 128 else 4, num_stages=3,
    )  # fmt: skip
    return out


def measure() -> dict[str, Any]:
    """TFLOP/s and largest error of the naive form, PyTorch's flash kernel and ours."""
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
