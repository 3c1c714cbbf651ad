"""Values in a few plain words, for messages."""

from __future__ import annotations

import math
import reprlib
from types import GeneratorType
from typing import Any

import numpy as np
from torch import Tensor, nn

from llmbook.language import say, translate

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
        tensor, array = (
            translate("a tensor of shape {shape}"),
            translate("a NumPy array of shape {shape}"),
        )
        return (tensor if isinstance(value, Tensor) else array).format(shape=tuple(value.shape))
    if isinstance(value, int | float | complex | np.number):
        return say("the number {value}", value=short(value))
    if isinstance(value, str):
        return say("the text {value}", value=short(value))
    if isinstance(value, list | tuple | set | frozenset | dict):
        return say("a {kind} of length {n}", kind=type(value).__name__, n=len(value))
    if isinstance(value, GeneratorType):
        return translate("a generator (wrap it in list(…))")
    if _is_function(value):
        name = getattr(value, "__name__", translate("without a name")).lstrip("_")
        return say("the function {name}", name=name)
    return say("an object of type {name}", name=type(value).__name__)


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, nn.Module)


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
        if isinstance(value, list):
            return f"[{shown}]"
        return f"({shown},)" if len(value) == 1 else f"({shown})"
    if isinstance(value, str | bytes | int | float | bool | dict | type(None)):
        return short(value)
    told = GeneratorType | np.bool_ | np.number | complex | set | frozenset
    if isinstance(value, told) or _is_function(value):
        return describe(value)
    return type(value).__name__
