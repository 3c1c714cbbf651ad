"""Run an answer on a case without letting it disturb anything, and note all that happened."""

from __future__ import annotations

import copy
import io
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmbook.exercises import learner
from llmbook.exercises.compare import Tolerance, difference
from llmbook.exercises.core import Case, Exercise, Property, plain_defaults
from llmbook.exercises.timeout import TimeUp
from llmbook.language import say

_EXACT = Tolerance(rtol=0.0, atol=0.0, exact_dtype=True)


@dataclass(frozen=True)
class Outcome:
    """What one run gave: a value or an exception, the arguments it changed, what it printed."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()
    printed: str = ""
    broken_law: bool = False


class _FirstLines(io.TextIOBase):
    """Keeps the first 500 characters and drops the rest: an endless loop may print for ever."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: max(0, 500 - len(self.text))]
        return len(text)


@contextmanager
def _fixed_chance() -> Iterator[None]:
    """Seed every source of chance, and put them back as they were afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextmanager
def _sealed() -> Iterator[_FirstLines]:
    """Chance and defaults fixed, gradients on, nothing shown: what is printed is collected."""
    printed = _FirstLines()
    with (
        _fixed_chance(),
        plain_defaults(),
        torch.enable_grad(),
        warnings.catch_warnings(),
        redirect_stdout(printed),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield printed


def run_case(exercise: Exercise, answer: Any, case: Case) -> Outcome:
    """Call the answer on a copy of the case's arguments.

    Raises:
        TimeUp, KeyboardInterrupt: passed on; every other exception is part of the outcome.
    """
    args = fresh(case.args)
    value, error = None, None
    with _sealed() as printed:
        try:
            value = snapshot(exercise.call(answer, *args))
        except (TimeUp, KeyboardInterrupt):
            raise
        except BaseException as caught:
            error = caught
    changed = () if exercise.mutates else _changed(exercise.parameters, case.args, args)
    return Outcome(value, error, changed, printed.text)


def run_property(law: Property, answer: Any) -> Outcome:
    """Check a law: the value is True when it holds, else the error says how it fails."""
    with _sealed() as printed:
        try:
            law.check(answer)
        except (TimeUp, KeyboardInterrupt):
            raise
        except BaseException as caught:
            broken = learner.is_broken_law(caught, law.check)
            return Outcome(error=caught, printed=printed.text, broken_law=broken)
    return Outcome(value=True)


def fresh(value: Any) -> Any:
    """A deep copy; random generators are copied with their state."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(fresh(item) for item in value)
    return copy.deepcopy(value)


def snapshot(value: Any) -> Any:
    """A copy of a result that later calls of the answer cannot change."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple, set):
        return type(value)(snapshot(item) for item in value)
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return value


def _changed(names: list[str], before: tuple, after: tuple) -> tuple[str, ...]:
    unnamed = (say("argument {n}", n=i + 1) for i in range(len(names), len(before)))
    padded = [*names, *unnamed]
    return tuple(
        name
        for name, old, new in zip(padded, before, after, strict=False)
        if difference(_comparable(old), _comparable(new), _EXACT) is not None
    )


def _comparable(value: Any) -> Any:
    """Values with a plain notion of equality; a model stands for its parameters."""
    if isinstance(value, nn.Module):
        return dict(value.state_dict())
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    plain = Tensor | np.ndarray | str | bytes | bool | int | float | complex | set | frozenset
    return value if isinstance(value, plain) else None
