"""Compare an answer with what was expected, and say in plain words where they part."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmbook.exercises.describe import compact, describe, short


@dataclass(frozen=True)
class Tolerance:
    """Numbers agree when ``|got - expected| <= atol + rtol * |expected|``; NaN agrees with NaN."""

    rtol: float = 1e-4
    atol: float = 1e-5
    exact_dtype: bool = False


def difference(expected: Any, got: Any, tolerance: Tolerance | None = None) -> str | None:
    """Where ``got`` departs from ``expected``, or None when they agree.

    Returns:
        A clause without capital or full stop, such as ``expected shape (5, 7), got (7, 5)``.
    """
    tolerance = tolerance or Tolerance()
    if isinstance(expected, Tensor):
        return _tensor(expected, got, tolerance)
    if isinstance(expected, np.ndarray):
        return _array(expected, got, tolerance)
    if isinstance(expected, bool | np.bool_):
        return _exact(bool(expected), _plain(got), (bool,))
    if isinstance(expected, numbers.Number):
        return _number(expected, _plain(got), tolerance)
    if isinstance(expected, str | bytes):
        return _text(expected, got)
    if isinstance(expected, dict):
        return _dict(expected, got, tolerance)
    if isinstance(expected, list | tuple):
        return _sequence(expected, got, tolerance)
    if isinstance(expected, set | frozenset):
        return _set(expected, got)
    return _exact(expected, got, (type(expected),))


def at(place: str, clause: str) -> str:
    """Say where in a nested result something is: ``result[0]['a']: …``."""
    if clause.startswith("result["):
        return f"result{place}{clause.removeprefix('result')}"
    return f"result{place}: {clause}"


def _wanted(expected: Any, got: Any) -> str:
    clause = f"expected {describe(expected)}, got {describe(got)}"
    if got is None:
        clause += " (does the function end with a return?)"
    return clause


def _plain(value: Any) -> Any:
    """A tensor or array that holds one number and has no dimension, as that number."""
    if isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0:
        return value.item()
    return value


def _exact(expected: Any, got: Any, types: tuple[type, ...]) -> str | None:
    if not isinstance(got, types):
        return _wanted(expected, got)
    try:
        same = bool(expected == got)
    except Exception:
        same = False
    return None if same else _wanted(expected, got)


def _number(expected: Any, got: Any, tolerance: Tolerance) -> str | None:
    if isinstance(got, bool) or not isinstance(got, numbers.Number):
        return _wanted(expected, got)
    if isinstance(expected, numbers.Integral):
        if not isinstance(got, numbers.Integral):
            return f"expected the whole number {expected}, got {describe(got)}"
        return None if expected == got else f"expected {expected}, got {got}"
    want, have = torch.tensor(expected).double(), torch.tensor(got).double()
    if agreement(want, have, tolerance).all():
        return None
    clause = f"expected {short(expected)}, got {short(got)}"
    if short(expected) == short(got):
        clause = f"expected {expected!r}, got {got!r}"
    return clause


def _array(expected: np.ndarray, got: Any, tolerance: Tolerance) -> str | None:
    if not isinstance(got, np.ndarray):
        return _wanted(expected, got)
    if expected.dtype.kind not in "biufc" or got.dtype.kind not in "biufc":
        return _sequence(expected.tolist(), got.tolist(), tolerance)
    return _tensor(torch.from_numpy(expected.copy()), torch.from_numpy(got.copy()), tolerance)


def _tensor(expected: Tensor, got: Any, tolerance: Tolerance) -> str | None:
    if expected.ndim == 0 and isinstance(got, numbers.Number) and not tolerance.exact_dtype:
        return difference(expected.item(), got, tolerance)
    if not isinstance(got, Tensor):
        return _wanted(expected, got)
    want, have = expected.detach().cpu(), got.detach().cpu()
    if want.shape != have.shape:
        return f"expected shape {tuple(want.shape)}, got {tuple(have.shape)}"
    if _kind(want) != _kind(have) or (tolerance.exact_dtype and want.dtype != have.dtype):
        return f"expected numbers of type {_dtype(want)}, got {_dtype(have)}"
    agree = agreement(want, have, tolerance)
    if agree.all():
        return None
    return _numbers_apart(want, have, agree)


def _kind(x: Tensor) -> str:
    if x.dtype == torch.bool:
        return "truth values"
    if x.is_complex():
        return "complex"
    return "decimal" if x.is_floating_point() else "whole"


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def agreement(want: Tensor, have: Tensor, tolerance: Tolerance) -> Tensor:
    """Which numbers of two tensors of one shape agree; whole numbers must be equal."""
    if not want.is_floating_point() and not want.is_complex():
        return want == have
    wide = torch.complex128 if want.is_complex() or have.is_complex() else torch.float64
    return torch.isclose(
        have.to(wide), want.to(wide), tolerance.rtol, tolerance.atol, equal_nan=True
    )


def _numbers_apart(want: Tensor, have: Tensor, agree: Tensor) -> str:
    """How many numbers differ, and the worst of them."""
    n_wrong, n_all = int((~agree).sum()), want.numel()
    whole = compact(want), compact(have)
    if whole[0] and whole[0] != whole[1]:
        return f"expected {whole[0]}, got {whole[1]}"
    strange = ~agree & (have != have) if have.is_floating_point() else torch.zeros_like(agree)
    if strange.any():
        where, worst = "first", strange.flatten().int().argmax()
    elif want.is_floating_point():
        where = "most"
        gap = (want.double() - have.double()).abs().nan_to_num(math.inf)
        worst = torch.where(agree, -1.0, gap).flatten().argmax()
    else:
        where, worst = "first", (~agree).flatten().int().argmax()
    index = tuple(int(i) for i in np.unravel_index(int(worst), tuple(want.shape)))
    wanted, got = short(want[index].item()), short(have[index].item())
    if wanted == got:
        wanted, got = repr(want[index].item()), repr(have[index].item())
    counted = f"{n_wrong} of {n_all} numbers differ" if n_all > 1 else "the number differs"
    place = f", {where} at {list(index)}" if index and n_all > 1 else ""
    return f"{counted}{place}: expected {wanted}, got {got}"


def _text(expected: str | bytes, got: Any) -> str | None:
    if type(got) is not type(expected):
        return _wanted(expected, got)
    if got == expected:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b),
        min(len(expected), len(got)),
    )
    if max(len(expected), len(got)) <= 40:
        return f"expected {expected!r}, got {got!r}"
    lo = max(0, at - 10)
    return (
        f"the texts part at position {at}: expected …{expected[lo : at + 20]!r}…, "
        f"got …{got[lo : at + 20]!r}… (lengths {len(expected)} and {len(got)})"
    )


def _sequence(expected: Any, got: Any, tolerance: Tolerance) -> str | None:
    if not isinstance(got, list if isinstance(expected, list) else tuple):
        return _wanted(expected, got)
    kind = "list" if isinstance(expected, list) else "tuple"
    for i, (want, have) in enumerate(zip(expected, got, strict=False)):
        clause = difference(want, have, tolerance)
        if clause:
            lengths = "" if len(expected) == len(got) else _lengths(kind, expected, got) + "; "
            return lengths + at(f"[{i}]", clause)
    return None if len(expected) == len(got) else _lengths(kind, expected, got)


def _lengths(kind: str, expected: Any, got: Any) -> str:
    return f"expected a {kind} of length {len(expected)}, got length {len(got)}"


def _dict(expected: dict, got: Any, tolerance: Tolerance) -> str | None:
    if not isinstance(got, dict):
        return _wanted(expected, got)
    missing = [key for key in expected if key not in got]
    extra = [key for key in got if key not in expected]
    if missing:
        return f"the dict lacks the key {missing[0]!r}"
    if extra:
        return f"the dict has a key too many: {extra[0]!r}"
    for key, want in expected.items():
        clause = difference(want, got[key], tolerance)
        if clause:
            return at(f"[{key!r}]", clause)
    return None


def _set(expected: set | frozenset, got: Any) -> str | None:
    if not isinstance(got, set | frozenset):
        return _wanted(expected, got)
    missing, extra = sorted(expected - got, key=repr), sorted(got - expected, key=repr)
    if missing:
        return f"the set lacks {missing[0]!r}"
    return f"the set has an element too many: {extra[0]!r}" if extra else None
