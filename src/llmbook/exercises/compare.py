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
from llmbook.language import mark, say, translate


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
    return say("result{place}: {clause}", place=place, clause=clause)


def _apart(expected: object, got: object) -> str:
    return say("expected {expected}, got {got}", expected=expected, got=got)


def _wanted(expected: Any, got: Any) -> str:
    clause = _apart(describe(expected), describe(got))
    if got is None:
        clause += translate(" (does the function end with a return?)")
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
            return say(
                "expected the whole number {expected}, got {got}",
                expected=expected,
                got=describe(got),
            )
        return None if expected == got else _apart(expected, got)
    want, have = torch.tensor(expected).double(), torch.tensor(got).double()
    if agreement(want, have, tolerance).all():
        return None
    if short(expected) == short(got):
        return _apart(repr(expected), repr(got))
    return _apart(short(expected), short(got))


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
        return say(
            "expected shape {expected}, got {got}",
            expected=tuple(want.shape),
            got=tuple(have.shape),
        )
    if _kind(want) != _kind(have) or (tolerance.exact_dtype and want.dtype != have.dtype):
        return say(
            "expected numbers of type {expected}, got {got}",
            expected=_dtype(want),
            got=_dtype(have),
        )
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


_FIRST = mark("{n} of {all} numbers differ, first at {place}: expected {expected}, got {got}")
_MOST = mark("{n} of {all} numbers differ, most at {place}: expected {expected}, got {got}")
_SOME = mark("{n} of {all} numbers differ: expected {expected}, got {got}")
_ONE = mark("the number differs: expected {expected}, got {got}")


def _numbers_apart(want: Tensor, have: Tensor, agree: Tensor) -> str:
    """How many numbers differ, and the worst of them."""
    n_wrong, n_all = int((~agree).sum()), want.numel()
    whole = compact(want), compact(have)
    if whole[0] and whole[0] != whole[1]:
        return _apart(*whole)
    strange = ~agree & (have != have) if have.is_floating_point() else torch.zeros_like(agree)
    if strange.any():
        where, worst = _FIRST, strange.flatten().int().argmax()
    elif want.is_floating_point():
        where = _MOST
        gap = (want.double() - have.double()).abs().nan_to_num(math.inf)
        worst = torch.where(agree, -1.0, gap).flatten().argmax()
    else:
        where, worst = _FIRST, (~agree).flatten().int().argmax()
    index = tuple(int(i) for i in np.unravel_index(int(worst), tuple(want.shape)))
    wanted, got = short(want[index].item()), short(have[index].item())
    if wanted == got:
        wanted, got = repr(want[index].item()), repr(have[index].item())
    where = where if index and n_all > 1 else _SOME if n_all > 1 else _ONE
    return say(where, n=n_wrong, all=n_all, place=list(index), expected=wanted, got=got)


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
        return _apart(repr(expected), repr(got))
    lo = max(0, at - 10)
    clause = translate(
        "the texts part at position {place}: expected …{expected}…, got …{got}… "
        "(lengths {n} and {m})"
    )
    shown = {"expected": repr(expected[lo : at + 20]), "got": repr(got[lo : at + 20])}
    return clause.format(place=at, n=len(expected), m=len(got), **shown)


def _sequence(expected: Any, got: Any, tolerance: Tolerance) -> str | None:
    if not isinstance(got, list if isinstance(expected, list) else tuple):
        return _wanted(expected, got)
    kind = "list" if isinstance(expected, list) else "tuple"
    for i, (want, have) in enumerate(zip(expected, got, strict=False)):
        clause = difference(want, have, tolerance)
        if clause:
            if len(expected) == len(got):
                return at(f"[{i}]", clause)
            return say(
                "{clause}; {other}",
                clause=_lengths(kind, expected, got),
                other=at(f"[{i}]", clause),
            )
    return None if len(expected) == len(got) else _lengths(kind, expected, got)


def _lengths(kind: str, expected: Any, got: Any) -> str:
    return say(
        "expected a {kind} of length {n}, got length {m}", kind=kind, n=len(expected), m=len(got)
    )


def _dict(expected: dict, got: Any, tolerance: Tolerance) -> str | None:
    if not isinstance(got, dict):
        return _wanted(expected, got)
    missing = [key for key in expected if key not in got]
    extra = [key for key in got if key not in expected]
    if missing:
        return say("the dict lacks the key {key}", key=repr(missing[0]))
    if extra:
        return say("the dict has a key too many: {key}", key=repr(extra[0]))
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
        return say("the set lacks {item}", item=repr(missing[0]))
    if not extra:
        return None
    return say("the set has an element too many: {item}", item=repr(extra[0]))
