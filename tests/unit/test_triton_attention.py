"""The Triton kernels, run in Triton's interpreter: they must never be left unchecked on Linux."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from llmbook.nn import triton_attention

ROOT = Path(__file__).resolve().parents[2]
KERNELS = [
    triton_attention.attention_kernel,
    triton_attention.queries_gradient_kernel,
    triton_attention.keys_gradient_kernel,
]
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="Triton exists for Linux only")


@pytest.fixture(scope="module")
def interpreted() -> dict:
    """What the kernels computed, in a process of their own: the interpreter is for a whole one."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/support/interpreted_attention.py")],
        capture_output=True,
        text=True,
        env=os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@only_linux
def test_outputs_are_those_of_attend_and_of_pytorchs_own_attention(interpreted):
    assert {(tuple(c["shape"]), c["causal"]) for c in interpreted["cases"]} >= {
        ((1, 2, 37, 16), False),
        ((1, 2, 37, 16), True),
        ((1, 1, 1, 16), True),
    }
    for case in interpreted["cases"]:
        assert case["far"]["out"] < 2e-6, case
        assert case["far"]["sdpa"] < 2e-6, case


@only_linux
def test_gradients_are_those_of_autograd(interpreted):
    for case in interpreted["cases"]:
        assert max(case["far"][name] for name in ("dq", "dk", "dv")) < 5e-6, case


@only_linux
def test_large_scores_overflow_nowhere(interpreted):
    # Scores reach thousands here, and so do keys and queries that gradients are multiplied by.
    assert max(interpreted["extreme"].values()) < 1e-4


@only_linux
def test_the_future_cannot_change_the_past(interpreted):
    assert interpreted["future_moves"] == 0


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_a_kernel_can_be_read_where_triton_is_not(kernel):
    lines = inspect.getsource(kernel).splitlines()
    assert lines[0].startswith("def ")
    assert len(lines) <= 45
    assert triton_attention.tl is None, "the interpreter leaked into this process"


@pytest.mark.parametrize(
    ("shape", "other", "message"),
    [
        ((1, 1, 5, 7), (1, 1, 5, 7), "D=7: give one of"),
        ((1, 2, 5, 16), (1, 2, 3, 16), "must agree"),
    ],
)
def test_what_the_kernels_cannot_tile_is_refused(shape, other, message):
    q, k = torch.zeros(shape), torch.zeros(other)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(triton_attention.flash_attention)(q, k, k)


def test_without_triton_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    triton_attention._compiled.cache_clear()
    q = torch.zeros(1, 1, 5, 16)
    with pytest.raises(ImportError, match="exists for Linux: pip install triton"):
        triton_attention.flash_attention(q, q, q)
