"""From floats to the integers that a component's JSON holds, with the checks of its inputs."""

import base64
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = Any
"""A list, an array or a tensor of numbers; checked when it is converted."""

WEIGHT_STEPS = 255
"""An attention weight is an integer number of 255ths: one byte."""


def as_array(value: Numbers, name: str) -> NDArray[np.float64]:
    """A double-precision array of finite numbers from a list, an array or a tensor.

    Raises:
        ValueError: where a value is missing, infinite or not a number.
    """
    detached = value.detach().cpu() if hasattr(value, "detach") else value
    array = np.asarray(detached, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not finite")
    return array


def visible(token: str) -> str:
    """A token as it is shown: white space made visible, an empty token as ∅.

    >>> visible(" the\\n")
    '␣the⏎'
    """
    shown = token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
    return "".join(c if c.isprintable() else "�" for c in shown) or "∅"


def milli(values: Numbers, name: str) -> list[int]:
    """Thousandths, rounded, as a flat list of integers."""
    return [int(v) for v in np.rint(as_array(values, name).ravel() * 1000)]


def parts_of(row: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Share ``total`` in proportion to a row that sums to 1, by largest remainders.

    The integers sum to ``total`` exactly, so that percentages on the page do too. Remainders
    are compared after rounding to nine digits: equal weights tie alike on every machine.
    """
    exact = np.round(row * total, 9)
    whole = np.floor(exact)
    missing = round(float(total - whole.sum()))
    order = np.argsort(np.round(-(exact - whole), 9), kind="stable")
    whole[order[: max(missing, 0)]] += 1
    return whole.astype(np.int64)


def quantise_attention(weights: Numbers) -> NDArray[np.uint8]:
    """Weights (L, H, T, T) as bytes whose rows sum to 255 (or to 0: a query that looks nowhere).

    Raises:
        ValueError: unless each row is a distribution or zero.
    """
    array = as_array(weights, "weights")
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[2] != array.shape[3]:
        raise ValueError(f"weights must have shape (L, H, T, T), not {array.shape}")
    rows = array.reshape(-1, array.shape[-1])
    sums = rows.sum(axis=1)
    good = np.isclose(sums, 1, atol=1e-3) | (sums == 0)
    if (rows < -1e-6).any() or not good.all():
        worst = float(sums[np.argmin(good)])
        raise ValueError(
            f"a row of weights sums to {worst:.4f}: rows must be weights that sum to 1"
        )
    shares = [
        parts_of(row / s, WEIGHT_STEPS) if s else row for row, s in zip(rows, sums, strict=True)
    ]
    return np.array(shares, dtype=np.uint8).reshape(array.shape)


def is_causal(weights: NDArray[np.uint8]) -> bool:
    """True where no query looks to its right."""
    return not np.triu(weights, 1).any()


def pack(weights: NDArray[np.uint8], causal: bool) -> str:
    """Bytes in base 64, row by row; a causal map keeps only the lower triangle."""
    t = weights.shape[-1]
    keep = np.tril(np.ones((t, t), dtype=bool)) if causal else np.ones((t, t), dtype=bool)
    return base64.b64encode(weights[..., keep].tobytes()).decode()


def same_length(expected: int, **named: Sequence[object]) -> None:
    """Refuse lists whose length is not the expected one, by name."""
    for name, values in named.items():
        if len(values) != expected:
            raise ValueError(f"{name} has {len(values)} entries, but {expected} are needed")
