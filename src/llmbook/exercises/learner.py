"""The learner's side of an exception: which of their own lines it came from."""

from __future__ import annotations

import inspect
import linecache
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmbook.language import mark, say, translate

_PACKAGE = str(Path(__file__).resolve().parents[1])
_FOREIGN = tuple(
    {_PACKAGE, *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))}
)


def line_of(error: BaseException) -> str | None:
    """``line 3: `scores = q @ k` ``, the learner's last line on the way to the error, or None."""
    places = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if _is_learners(frame.f_code.co_filename)
    ]
    with_source = [(file, number) for file, number in places if linecache.getline(file, number)]
    if not places:
        return None
    file, number = (with_source or places)[-1]
    source = linecache.getline(file, number).strip()
    if not source:
        return say("line {n}", n=number)
    return say("line {n}: `{code}`", n=number, code=source)


def is_broken_law(error: BaseException, check: Callable[..., Any]) -> bool:
    """Whether a law's own check raised this assertion, rather than the answer that it called."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raisers = [
        frame.f_code
        for frame in frames
        if frame.f_code is check.__code__ or _is_learners(frame.f_code.co_filename)
    ]
    return isinstance(error, AssertionError) and raisers[-1:] == [check.__code__]


def _is_learners(filename: str) -> bool:
    return not filename.startswith((*_FOREIGN, "<frozen"))


def what_happened(error: BaseException) -> str:
    """Type and message of an exception, the message cut to a few lines."""
    message = str(error).strip()
    if len(message) > 300:
        message = message[:300] + " …"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


_ADVICE = (
    (
        "shapes cannot be multiplied",
        mark("In a @ b the last axis of a and the second to last of b must be equally long."),
    ),
    (
        "must match the size of tensor",
        mark(
            "Shapes are aligned from the right: an axis that was summed away stays in its place "
            "with keepdim=True, and .T turns round all axes where .transpose(-1, -2) swaps two."
        ),
    ),
    (
        "expected scalar type",
        mark("Two number types meet here: .float() or .long() turns one into the other."),
    ),
    (
        "modified by an inplace operation",
        mark("Something was changed in place that the gradient still needs: work on a copy."),
    ),
)


def advice(error: BaseException) -> str | None:
    """What helps with a frequent message of PyTorch's, or None."""
    return next((translate(text) for part, text in _ADVICE if part in str(error)), None)


def signature_problem(answer: Any, parameters: list[str]) -> str | None:
    """Why the answer cannot be called with these arguments, or None."""
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*parameters)
    except TypeError:
        return say(
            "your function is called with ({wanted}), but its parameters are {own}",
            wanted=", ".join(parameters),
            own=signature,
        )
    return None
