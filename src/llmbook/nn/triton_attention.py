"""FlashAttention as Triton kernels, forward and backward: one program for each tile of rows.

Triton exists for Linux and is no part of PyTorch's CPU build, so it is imported when the first
kernel is asked for; their text can be read everywhere. Without a card they run in Triton's
interpreter (set TRITON_INTERPRET=1 before), slowly and correctly: that is how the tests check
them. They have not been measured on a card yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    import triton.language as tl
else:
    tl = None  # `_compiled` puts triton.language here, where the kernels look for it

WIDTHS = (16, 32, 64, 128)
"""Widths of a head that the kernels can tile."""


def attention_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, log_ptr, n_token, scale,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """One program: ROWS queries of one head against all keys, COLUMNS at a time.

    It keeps, per query, the largest score so far (m), the sum of exponentials (total) and the
    unnormalised mixture (acc): the online softmax of Milakov and Gimelshein 2018, algorithm 3,
    as in Dao 2023, algorithm 1. Scores are in units of log 2, because 2^x is one instruction.
    """
    head = tl.program_id(1).to(tl.int64) * n_token  # the first row of this (batch, head)
    width = tl.arange(0, D)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    here = (head + rows[:, None]) * D + width  # where these queries and their outputs lie
    q = tl.load(q_ptr + here, mask=rows[:, None] < n_token, other=0.0)
    m = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum((tl.program_id(0) + 1) * ROWS, n_token) if CAUSAL else n_token
    for start in range(0, end, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        there = (head + columns[:, None]) * D + width
        k = tl.load(k_ptr + there, mask=columns[:, None] < n_token, other=0.0)
        v = tl.load(v_ptr + there, mask=columns[:, None] < n_token, other=0.0)
        seen = columns[None, :] < n_token
        if CAUSAL:
            seen = seen & (columns[None, :] <= rows[:, None])
        scores = tl.dot(q, tl.trans(k)) * (scale * 1.4426950408889634)  # log2(e)
        scores = tl.where(seen, scores, -float("inf"))
        m_new = tl.maximum(m, tl.max(scores, axis=1))
        factor = tl.exp2(m - m_new)
        weights = tl.exp2(scores - m_new[:, None])
        total = total * factor + tl.sum(weights, axis=1)
        acc = acc * factor[:, None] + tl.dot(weights.to(v.dtype), v)
        m = m_new
    out = (acc / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + here, out, mask=rows[:, None] < n_token)
    tl.store(log_ptr + head + rows, m + tl.log2(total), mask=rows < n_token)


def queries_gradient_kernel(
    q_ptr, k_ptr, v_ptr, d_out_ptr, log_ptr, delta_ptr, dq_ptr, n_token, scale,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """One program: the gradients of ROWS queries, from all keys, COLUMNS at a time.

    Weights are computed again from the saved logarithm of each row's sum; with P the weights and
    S the scores, dS = P ∘ (dO vᵀ − delta), delta = rowsum(dO ∘ O), and dq = scale · dS k (Dao
    2023, algorithm 2).
    """
    head = tl.program_id(1).to(tl.int64) * n_token
    width = tl.arange(0, D)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    here = (head + rows[:, None]) * D + width
    q = tl.load(q_ptr + here, mask=rows[:, None] < n_token, other=0.0)
    d_out = tl.load(d_out_ptr + here, mask=rows[:, None] < n_token, other=0.0)
    log = tl.load(log_ptr + head + rows, mask=rows < n_token, other=0.0)
    delta = tl.load(delta_ptr + head + rows, mask=rows < n_token, other=0.0)
    dq = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum((tl.program_id(0) + 1) * ROWS, n_token) if CAUSAL else n_token
    for start in range(0, end, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        there = (head + columns[:, None]) * D + width
        k = tl.load(k_ptr + there, mask=columns[:, None] < n_token, other=0.0)
        v = tl.load(v_ptr + there, mask=columns[:, None] < n_token, other=0.0)
        seen = columns[None, :] < n_token
        if CAUSAL:
            seen = seen & (columns[None, :] <= rows[:, None])
        scores = tl.dot(q, tl.trans(k)) * (scale * 1.4426950408889634)
        weights = tl.exp2(tl.where(seen, scores, -float("inf")) - log[:, None])
        d_scores = weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])
        dq += tl.dot(d_scores.to(k.dtype), k)
    dq = (dq * scale).to(dq_ptr.dtype.element_ty)
    tl.store(dq_ptr + here, dq, mask=rows[:, None] < n_token)


def keys_gradient_kernel(
    q_ptr, k_ptr, v_ptr, d_out_ptr, log_ptr, delta_ptr, dk_ptr, dv_ptr, n_token, scale,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """One program: the gradients of COLUMNS keys and values, from all queries, ROWS at a time.

    dv = Pᵀ dO and dk = scale · dSᵀ q, with P and dS as in `queries_gradient_kernel`.
    """
    head = tl.program_id(1).to(tl.int64) * n_token
    width = tl.arange(0, D)
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    there = (head + columns[:, None]) * D + width
    k = tl.load(k_ptr + there, mask=columns[:, None] < n_token, other=0.0)
    v = tl.load(v_ptr + there, mask=columns[:, None] < n_token, other=0.0)
    dk = tl.zeros([COLUMNS, D], tl.float32)
    dv = tl.zeros([COLUMNS, D], tl.float32)
    begin = tl.program_id(0) * COLUMNS // ROWS * ROWS if CAUSAL else 0  # who sees these keys
    for start in range(begin, n_token, ROWS):
        rows = start + tl.arange(0, ROWS)
        here = (head + rows[:, None]) * D + width
        q = tl.load(q_ptr + here, mask=rows[:, None] < n_token, other=0.0)
        d_out = tl.load(d_out_ptr + here, mask=rows[:, None] < n_token, other=0.0)
        log = tl.load(log_ptr + head + rows, mask=rows < n_token, other=0.0)
        delta = tl.load(delta_ptr + head + rows, mask=rows < n_token, other=0.0)
        seen = (rows[:, None] < n_token) & (columns[None, :] < n_token)
        if CAUSAL:
            seen = seen & (columns[None, :] <= rows[:, None])
        scores = tl.dot(q, tl.trans(k)) * (scale * 1.4426950408889634)
        weights = tl.exp2(tl.where(seen, scores, -float("inf")) - log[:, None])
        d_scores = weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])
        dv += tl.dot(tl.trans(weights).to(d_out.dtype), d_out)
        dk += tl.dot(tl.trans(d_scores).to(q.dtype), q)
    inside = columns[:, None] < n_token
    tl.store(dk_ptr + there, (dk * scale).to(dk_ptr.dtype.element_ty), mask=inside)
    tl.store(dv_ptr + there, dv.to(dv_ptr.dtype.element_ty), mask=inside)


def flash_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H T D"],
    v: Float[Tensor, "B H T D"],
    causal: bool = False,
) -> Float[Tensor, "B H T D"]:
    """softmax(qkᵀ/√D) v without ever storing the (T, T) weights, differentiable.

    Args:
        q, k, v: of one shape, D one of 16, 32, 64, 128. On a card, products of float32 are made
            in Triton's default for it, TF32; give bfloat16 there.
        causal: each query sees itself and the keys before it.

    Raises:
        ValueError: shapes that differ, or a width that the kernels cannot tile.
        ImportError: Triton is not installed.

    Source: Dao 2023, algorithms 1 and 2. Taught in chapter 10.
    """
    if not q.shape == k.shape == v.shape:
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} must agree")
    if q.shape[-1] not in WIDTHS:
        raise ValueError(f"D={q.shape[-1]}: give one of {WIDTHS}")
    return _Flash.apply(q, k, v, causal)


class _Flash(torch.autograd.Function):
    """Keeps queries, keys, values, outputs and one number per row for the backward pass."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        out, log = torch.empty_like(q), q.new_empty(q.shape[:-1], dtype=torch.float32)
        _launch(attention_kernel, "rows", (q, k, v, out, log), causal)
        ctx.save_for_backward(q, k, v, out, log)
        ctx.causal = causal
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, out, log = ctx.saved_tensors
        d_out = d_out.contiguous()
        delta = (d_out.float() * out.float()).sum(dim=-1)
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        given = (q, k, v, d_out, log, delta)
        _launch(queries_gradient_kernel, "rows", (*given, dq), ctx.causal)
        _launch(keys_gradient_kernel, "columns", (*given, dk, dv), ctx.causal)
        return dq, dk, dv, None


def _launch(
    kernel: Callable[..., None], side: str, tensors: tuple[Tensor, ...], causal: bool
) -> None:
    """Start a program for each tile of rows (or columns) of each head."""
    batch, n_head, n_token, width = tensors[0].shape
    on_card = tensors[0].is_cuda
    size = {"rows": 128 if on_card else 16, "columns": 64 if on_card else 16}
    grid = (-(-n_token // size[side]), batch * n_head)
    _compiled(kernel)[grid](
        *tensors, n_token, 1 / math.sqrt(width),
        D=width, ROWS=size["rows"], COLUMNS=size["columns"], CAUSAL=causal,
        num_warps=8 if width == 128 else 4,
    )  # fmt: skip


@cache
def _compiled(kernel: Callable[..., None]) -> Any:
    """Triton's form of a kernel, or its interpreter's."""
    global tl
    try:
        import triton
        import triton.language as tl
    except ImportError as error:
        raise ImportError(
            "the kernels need Triton, which exists for Linux: pip install triton"
        ) from error
    return triton.jit(kernel)
