"""What a wrong result has to do with the right one, when it is something plain."""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch
from torch import Tensor

from llmbook.exercises.compare import Tolerance, agreement, at, difference
from llmbook.exercises.describe import short
from llmbook.language import mark, say, translate

_TELLING_FACTORS = (
    (-1.0, mark("The sign is turned round.")),
    (
        math.log(2),
        mark("It is ln 2 times the expected one. Is one in bits and the other in nats?"),
    ),
    (
        1 / math.log(2),
        mark("It is 1/ln 2 times the expected one. Is one in bits and the other in nats?"),
    ),
)


def relation(expected: Any, got: Any, tolerance: Tolerance) -> str | None:
    """A sentence such as ``It is the expected result transposed.``, or None.

    A factor or an offset is named where at least three numbers share it; a single number
    only where the factor tells of itself (a sign, ln 2). Of a list or tuple, the first item that
    tells is named.
    """
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return _relation_of_items(expected, got, tolerance)
    want, have = _decimal(expected), _decimal(got)
    if want is None or have is None:
        return None
    if want.shape == have.shape and _agree(want, have, tolerance):
        return None
    if want.ndim == 2 and have.shape == want.T.shape and _agree(want.T, have, tolerance):
        return translate("It is the expected result transposed.")
    if want.shape != have.shape:
        return None
    if not (want.isfinite().all() and have.isfinite().all()):
        return None
    factor = float((want * have).sum() / want.square().sum().clamp_min(1e-300))
    if abs(factor) > 1e-6 and _agree(factor * want, have, tolerance):
        return _factor_sentence(factor, n_numbers=int(want.count_nonzero()))
    offset = float((have - want).mean()) if want.numel() else 0.0
    if want.numel() >= 3 and _agree(want + offset, have, tolerance):
        if offset > 0:
            return say("Every number is {gap} too large.", gap=short(offset))
        return say("Every number is {gap} too small.", gap=short(-offset))
    return None


def _relation_of_items(
    expected: list | tuple, got: list | tuple, tolerance: Tolerance
) -> str | None:
    """Items in another order, or the first item that tells something."""
    if len(expected) == len(got) <= 8 and difference(list(expected), list(got), tolerance):
        left = list(got)
        for want in expected:
            match = next((i for i, x in enumerate(left) if not difference(want, x, tolerance)), -1)
            if match < 0:
                break
            left.pop(match)
        else:
            return translate("These are the right items in another order.")
    for i, (want, have) in enumerate(zip(expected, got, strict=False)):
        sentence = relation(want, have, tolerance)
        if sentence:
            return at(f"[{i}]", sentence[0].lower() + sentence[1:])
    return None


def _decimal(value: Any) -> Tensor | None:
    if isinstance(value, bool) or not isinstance(value, Tensor | numbers.Real):
        return None
    tensor = torch.as_tensor(value).detach().cpu()
    return tensor.double() if tensor.is_floating_point() else None


def _agree(want: Tensor, have: Tensor, tolerance: Tolerance) -> bool:
    return bool(agreement(want, have, tolerance).all())


def _factor_sentence(factor: float, n_numbers: int) -> str | None:
    for value, words in _TELLING_FACTORS:
        if math.isclose(factor, value, rel_tol=1e-4):
            return translate(words)
    if n_numbers < 3:
        return None
    return say("Every number is {factor} times the expected one.", factor=short(factor))
