"""The number formats of GGUF files: blocks of a few bits for each number, with shared scales.

Each function takes blocks of bytes, (blocks, bytes of one), and gives float32, (blocks, numbers
of one), with the same operations in the same order as the ``gguf`` package, so that the bits agree.

Source: the ggml project, ``ggml-common.h`` (the blocks) and ``ggml-quants.c`` (their meaning).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float16, Float32, UInt8
from torch import Tensor


class Kind(NamedTuple):
    """A number format: its number in files, how many numbers a block holds, its bytes."""

    number: int
    n_number: int
    n_bytes: int
    dequantize: Callable[[np.ndarray], np.ndarray]


class Q41(NamedTuple):
    """Weights of 4 bits as a file holds them: number j of a block is scale · nibble_j + minimum.

    A block is 32 neighbours of a row. Byte j of ``nibbles`` holds number j in its low half and
    number j + 16 in its high half.
    """

    scale: Float16[Tensor, "R N"]
    minimum: Float16[Tensor, "R N"]
    nibbles: UInt8[Tensor, "R N 16"]

    @classmethod
    def from_bytes(cls, raw: np.ndarray, n_row: int) -> Q41:
        """The blocks of ``n_row`` rows of equal length."""
        blocks = np.ascontiguousarray(raw).reshape(n_row, -1, 20)
        half = blocks[..., :4].copy().view(np.float16)
        pieces = (half[..., 0], half[..., 1], blocks[..., 4:])
        return cls(*(torch.from_numpy(np.array(piece)) for piece in pieces))

    def rows(self, order: Tensor) -> Q41:
        """The same blocks with the rows in another order."""
        return Q41(self.scale[order], self.minimum[order], self.nibbles[order])

    def dequantize(self) -> Float32[Tensor, "R C"]:
        """The numbers that the blocks stand for, in float32."""
        low, high = self.nibbles & 15, self.nibbles >> 4  # (R, N, 16) each
        numbers = torch.cat([low, high], dim=-1) * self.scale.float()[..., None]
        return (numbers + self.minimum.float()[..., None]).flatten(1)


def _half(blocks: np.ndarray, start: int) -> np.ndarray:
    """The 16-bit number at a place of every block, (blocks, 1) in float32."""
    return blocks[:, start : start + 2].copy().view(np.float16).astype(np.float32)


def _f32(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f4").copy()


def _f16(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f2").astype(np.float32)


def _bf16(blocks: np.ndarray) -> np.ndarray:
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q8_0(blocks: np.ndarray) -> np.ndarray:
    return blocks[:, 2:].view(np.int8) * _half(blocks, 0)


def _q4_0(blocks: np.ndarray) -> np.ndarray:
    numbers = _nibbles(blocks[:, 2:])
    numbers -= 8
    numbers *= _half(blocks, 0)
    return numbers


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    numbers = _nibbles(blocks[:, 4:])
    numbers *= _half(blocks, 0)
    numbers += _half(blocks, 2)
    return numbers


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """The low halves of the bytes, then the high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def _q4_k(blocks: np.ndarray) -> np.ndarray:
    """256 numbers in 8 groups, each with a scale and a minimum of 6 bits."""
    low, mid, high = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scale = np.concatenate([low & 63, (high & 15) | ((low >> 2) & 48)], axis=1)
    minimum = np.concatenate([mid & 63, (high >> 4) | ((mid >> 2) & 48)], axis=1)
    packed = blocks[:, 16:].reshape(-1, 4, 1, 32)
    numbers = np.concatenate([packed & 15, packed >> 4], axis=2).reshape(-1, 8, 32)
    scaled = (_half(blocks, 0) * scale)[..., None] * numbers
    return (scaled - (_half(blocks, 2) * minimum)[..., None]).reshape(-1, 256)


def _q6_k(blocks: np.ndarray) -> np.ndarray:
    """256 numbers of 6 bits, 4 of them and 2 of them apart, in 16 groups with 8-bit scales."""
    packed = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([packed & 15, packed >> 4], axis=2).reshape(-1, 8, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    high = ((blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3).reshape(-1, 8, 32)
    numbers = (low | (high << 4)).astype(np.int8) - np.int8(32)
    scale = _half(blocks, 208) * blocks[:, 192:208].view(np.int8)
    return (scale[..., None] * numbers.reshape(-1, 16, 16)).reshape(-1, 256)


KINDS = {
    "F32": Kind(0, 1, 4, _f32),
    "F16": Kind(1, 1, 2, _f16),
    "Q4_0": Kind(2, 32, 18, _q4_0),
    "Q4_1": Kind(3, 32, 20, _q4_1),
    "Q8_0": Kind(8, 32, 34, _q8_0),
    "Q4_K": Kind(12, 256, 144, _q4_k),
    "Q6_K": Kind(14, 256, 210, _q6_k),
    "BF16": Kind(30, 1, 2, _bf16),
}
"""Name → format."""
