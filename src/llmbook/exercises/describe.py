"""Values in a few plain words, for messages."""

from __future__ import annotations

import math
import reprlib
from types import GeneratorType
from typing import Any

import numpy as np
from torch import Tensor, nn

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def short(value: Any) -> str:
    """A value on less than a line; numbers with four significant digits."""
    if isinstance(value, float | np.floating) and math.isfinite(value):
        return f"{value:.4g}"
    return _repr.repr(value)


def describe(value: Any) -> str:
    """What a value is, with its size: ``a tensor of shape (5, 7)``, ``the number 3``."""
    if value is None:
        return "None"
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "NumPy array"
        return f"a {kind} of shape {tuple(value.shape)}"
    if isinstance(value, int | float | complex | np.number):
        return f"the number {short(value)}"
    if isinstance(value, str):
        return f"the text {short(value)}"
    if isinstance(value, list | tuple | set | frozenset | dict):
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, GeneratorType):
        return "a generator (wrap it in list(…))"
    if callable(value) and not isinstance(value, nn.Module):
        return f"the function {getattr(value, '__name__', 'without a name').lstrip('_')}"
    return f"an object of type {type(value).__name__}"


def compact(value: Tensor | np.ndarray) -> str | None:
    """The numbers of a small tensor, ``[[2.5, 0]]``, or None when there are more than eight."""
    count = value.numel() if isinstance(value, Tensor) else value.size
    return _nested(value.tolist()) if count <= 8 else None


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_nested, value)) + "]"
    return short(value)


def sketch(value: Any) -> str:
    """An argument as a failing case shows it: short values whole, else their sizes."""
    if isinstance(value, Tensor | np.ndarray):
        return compact(value) or "×".join(map(str, value.shape))
    if isinstance(value, list | tuple):
        shown = ", ".join(map(sketch, value[:8])) + (", …" if len(value) > 8 else "")
        return f"[{shown}]" if isinstance(value, list) else f"({shown})"
    if isinstance(value, str | bytes | int | float | bool | dict | type(None)):
        return short(value)
    return describe(value).removeprefix("an object of type ")
