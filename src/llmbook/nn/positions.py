"""Telling a model where a token stands: rotary position embedding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Rotation(NamedTuple):
    """Cosines and sines of each position's angles, (T, D) each."""

    cos: Tensor
    sin: Tensor


def rope_rotation(
    n_position: int, d_head: int, base: float = 10_000.0, device: torch.device | None = None
) -> Rotation:
    """Angles of positions 0 … n_position - 1: position p turns pair i by p · base^(-2i/D).

    Number i is paired with number i + D/2 (the "half-split" form of Llama); the paper pairs
    neighbours, which is the same up to a fixed reordering of a head's coordinates.

    Source: Su et al. 2021, eq. 15 and section 3.4.2. Taught in chapter 8.
    """
    if d_head % 2:
        raise ValueError(f"d_head={d_head} is odd: RoPE turns pairs of numbers")
    exponent = torch.arange(0, d_head, 2, device=device, dtype=torch.float32) / d_head
    angle = torch.outer(torch.arange(n_position, device=device).float(), base**-exponent)
    angle = torch.cat([angle, angle], dim=-1)
    return Rotation(angle.cos(), angle.sin())


def rotate(x: Float[Tensor, "B H T D"], rotation: Rotation) -> Float[Tensor, "B H T D"]:
    """Turn each pair (x_i, x_{i+D/2}) of every position by that position's angle.

    Source: Su et al. 2021, eq. 34.
    """
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return x * rotation.cos.to(x.dtype) + turned * rotation.sin.to(x.dtype)
