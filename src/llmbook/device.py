"""Where tensors live, in which precision, and how chance is fixed."""

from __future__ import annotations

import os
import random
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import numpy as np
import torch

Precision = Literal["auto", "float32", "bfloat16"]


def pick_device(name: str | None = None) -> torch.device:
    """The best device at hand: CUDA, then Apple's MPS, then the CPU.

    Args:
        name: a device's name, which wins over the choice. Without it the environment
            variable ``LLMBOOK_DEVICE`` is read (the book is verified with ``cpu``).

    Raises:
        ValueError: a named device that this machine or PyTorch build does not have.
    """
    name = name or os.environ.get("LLMBOOK_DEVICE") or None
    if name is not None:
        return _named_device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _named_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"no device is called {name!r}: use cpu, cuda, cuda:0 or mps") from None
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not here.get(device.type, False):
        raise ValueError(
            f"device {name!r} was asked for, but this machine or this build of PyTorch has "
            "none: unset LLMBOOK_DEVICE or set it to cpu"
        )
    return device


def seed_everything(seed: int = 0) -> None:
    """Fix Python's, NumPy's and PyTorch's chance, and flush denormal numbers to zero.

    The book's outputs are verified with one CPU thread (``OMP_NUM_THREADS=1``): sums taken
    in another order differ in their last digits.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format of the matrix products of a training step.

    ``auto`` takes bfloat16 where the hardware multiplies it faster than float32: CUDA cards
    that support it, and CPUs with AMX tiles. Elsewhere bfloat16 is emulated, and slower.
    """
    if precision == "float32":
        return torch.float32
    if precision == "bfloat16":
        return torch.bfloat16
    if precision != "auto":
        raise ValueError(f"precision={precision!r}: choose auto, float32 or bfloat16")
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Matrix products in ``dtype`` inside the block; weights and sums stay in float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
