"""Run the Triton kernels in Triton's interpreter, and print how far they are from attention.

    TRITON_INTERPRET=1 python tests/support/interpreted_attention.py

A process of its own, because the interpreter is chosen when a kernel is made, for the whole
process. Prints one JSON list: for each case its name and the largest distance of outputs and
gradients.
"""

from __future__ import annotations

import json

import torch
import torch.nn.functional as F

from llmbook.nn import attend, causal_mask
from llmbook.nn.triton_attention import flash_attention

CASES = [
    # (B, H, T, D), causal; tiles have 16 rows and 16 columns in the interpreter
    ((2, 3, 16, 16), False),
    ((1, 2, 37, 16), False),
    ((1, 2, 37, 16), True),
    ((1, 1, 1, 16), True),
    ((1, 1, 53, 32), True),
    ((1, 1, 47, 64), False),
]


def distances(shape: tuple[int, int, int, int], causal: bool, spread: float = 1.0) -> dict:
    """Ours against `attend` and against PyTorch's own attention, forward and backward."""
    made = torch.Generator().manual_seed(0)
    q, k, v, d_out = (torch.randn(shape, generator=made) for _ in range(4))
    given = [(spread * q).requires_grad_(), (spread * k).requires_grad_(), v.requires_grad_()]
    ours = flash_attention(*given, causal=causal)
    found = torch.autograd.grad(ours, given, d_out)
    exact = [x.detach().double().requires_grad_() for x in given]
    mask = causal_mask(shape[2]) if causal else None
    expected = attend(*exact, mask)[0]
    gradients = torch.autograd.grad(expected, exact, d_out.double())
    peer = F.scaled_dot_product_attention(*given, is_causal=causal)
    far = {"out": (ours - expected).abs().max(), "sdpa": (ours - peer).abs().max()}
    pairs = zip(("dq", "dk", "dv"), found, gradients, strict=True)
    far |= {name: (a - b).abs().max() for name, a, b in pairs}
    return {name: float(value.detach()) for name, value in far.items()}


def future_moves() -> float:
    """How far outputs of the past move when the future changes (causal): exactly 0."""
    q, k, v = torch.randn(3, 1, 1, 37, 16, generator=torch.Generator().manual_seed(1))
    before = flash_attention(q, k, v, causal=True)
    k, v = k.clone(), v.clone()
    k[:, :, 20:] += 100.0
    v[:, :, 20:] += 100.0
    return float((flash_attention(q, k, v, causal=True) - before)[:, :, :20].abs().max())


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases = [
        {"shape": list(shape), "causal": causal, "far": distances(shape, causal)}
        for shape, causal in CASES
    ]
    extreme = distances((1, 1, 21, 16), True, spread=30.0)
    print(json.dumps({"cases": cases, "extreme": extreme, "future_moves": future_moves()}))
