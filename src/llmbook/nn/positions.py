"""Telling a model where a token stands: rotations, waves, and a penalty on distance."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.config import RopeScaling


class Rotation(NamedTuple):
    """Cosines and sines of each position's angles, (T, D) each, or (B, 1, T, D)."""

    cos: Tensor
    sin: Tensor


def rope_rotation(
    n_position: int,
    d_head: int,
    base: float = 10_000.0,
    device: torch.device | None = None,
    scaling: RopeScaling | None = None,
) -> Rotation:
    """Angles of positions 0 … n_position - 1: position p turns pair i by p · base^(-2i/D).

    Number i is paired with number i + D/2 (the "half-split" form of Llama); the paper pairs
    neighbours, which is the same up to a fixed reordering of a head's coordinates.

    Source: Su et al. 2021, eq. 15 and section 3.4.2. Taught in chapter 8.
    """
    if d_head % 2:
        raise ValueError(f"d_head={d_head} is odd: RoPE turns pairs of numbers")
    exponent = torch.arange(0, d_head, 2, device=device, dtype=torch.float32) / d_head
    frequency = base**-exponent if scaling is None else _scale(base**-exponent, scaling)
    angle = torch.outer(torch.arange(n_position, device=device).float(), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return Rotation(angle.cos(), angle.sin())


def rotate(x: Float[Tensor, "B H T D"], rotation: Rotation) -> Float[Tensor, "B H T D"]:
    """Turn each pair (x_i, x_{i+D/2}) of every position by that position's angle.

    Source: Su et al. 2021, eq. 34.
    """
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return x * rotation.cos.to(x.dtype) + turned * rotation.sin.to(x.dtype)


def sinusoidal_positions(n_position: int, d_model: int) -> Float[Tensor, "T C"]:
    """Waves of lengths 2π to 10,000 · 2π: sin(p · 10000^(-2i/C)) and the cosines beside them.

    All sines come first, then all cosines, as in the authors' code; their paper interleaves
    them, which is the same up to a fixed reordering of the coordinates.

    Source: Vaswani et al. 2017, section 3.5. Taught in chapter 8.
    """
    if d_model % 2:
        raise ValueError(f"d_model={d_model} is odd: half are sines and half cosines")
    exponent = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    angle = torch.outer(torch.arange(n_position, dtype=torch.float64), 10_000**-exponent)
    return torch.cat([angle.sin(), angle.cos()], dim=-1).float()


def alibi_slopes(n_head: int) -> Float[Tensor, " H"]:
    """How strongly each head is drawn to near tokens: 2^(-8/H), 2^(-16/H), … for H a power of 2.

    Otherwise the slopes of the next smaller power of two, and then every second one of the
    next larger: the authors' rule.

    Source: Press et al. 2022, section 3 and appendix A.3. Taught in chapter 8.
    """
    power = 2 ** int(math.log2(n_head))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    more = [2 ** (-4 * (i + 1) / power) for i in range(0, 2 * (n_head - power), 2)]
    return torch.tensor(slopes + more)


def alibi_bias(slopes: Float[Tensor, " H"], n_query: int, n_key: int) -> Float[Tensor, "H T S"]:
    """What is added to the scores: -slope · distance. The queries are the last positions.

    Source: Press et al. 2022, eq. in section 3. Taught in chapter 8.
    """
    key = torch.arange(n_key, device=slopes.device)
    distance = (key[n_key - n_query :, None] - key).abs()  # (T, S)
    return -slopes[:, None, None] * distance


def _scale(frequency: Tensor, scaling: RopeScaling) -> Tensor:
    if scaling.kind == "linear":
        return frequency / scaling.factor
    turns = scaling.original_context * frequency / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)  # 1: fast enough to stay as it is
    return frequency * (kept + (1 - kept) / scaling.factor)
