"""What an exercise is, and where to find one: a chapter's file is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from llmbook.language import say, translate

ID_PATTERN = re.compile(r"(\d\d)\.[a-z][a-z0-9_]*")


class UnknownExercise(LookupError):
    """No exercise has this id; the message names the nearest ones."""


@dataclass(frozen=True)
class Case:
    """One call of the answer: its arguments, and a note that tells the reader their sizes.

    Without a note the sizes of the arguments are shown.
    """

    args: tuple[Any, ...]
    note: str = ""


@dataclass(frozen=True)
class Misconception:
    """A wrong implementation that learners write, and the hint it deserves."""

    name: str
    wrong: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Property:
    """A law that the answer obeys. ``check`` is given the answer and asserts the law.

    ``sentence`` says the law ("Every row sums to 1."); the assertion's message, if it has
    one, adds the numbers.
    """

    sentence: str
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Question:
    """A quiz question: the right choice is ``choices[answer]``, ``why`` comments on each choice."""

    text: str
    choices: Sequence[str]
    answer: int
    why: Sequence[str]


@contextmanager
def plain_defaults() -> Iterator[None]:
    """New tensors are float32 on the CPU, whatever the notebook has set."""
    dtype = torch.get_default_dtype()
    device = torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        with nullcontext() if device.type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


def call_directly(answer: Any, *args: Any) -> Any:
    """The default way to run an answer: call it."""
    return answer(*args)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exercise:
    """A task with its solution, its laws and its well-known mistakes.

    Args:
        id: chapter number and name, ``"07.scaled_scores"``.
        title: a few words, the heading of the exercise.
        statement: what to do, in Markdown; the notebook's cell holds the same text.
        solution: the function (or class) that solves it. Its name, signature and docstring are
            what the reader is given as the stub.
        example: the case printed in the statement. It is graded first.
        cases: draws further cases from a seeded ``torch.Generator``; odd, distinct sizes.
        misconceptions: at least three wrong implementations, each with its hint.
        nudges: at least two hints, the gentlest first. No LaTeX: write √d_head.
        properties: laws checked after the cases.
        success: one sentence for an answer that is right: what it shows.
        remark: what to notice in the solution, shown under it (Markdown, one paragraph).
        call: how to run an answer on a case, for classes: ``call(answer, *args)``.
        rtol, atol: numbers agree when ``|got - expected| <= atol + rtol * |expected|``.
        exact_dtype: whether a tensor's number type must match exactly, rather than in kind.
        mutates: whether the answer is meant to change its arguments.
    """

    id: str
    title: str
    statement: str
    solution: Callable[..., Any]
    example: Case
    cases: Callable[[torch.Generator], list[Case]]
    misconceptions: Sequence[Misconception]
    nudges: Sequence[str]
    properties: Sequence[Property] = ()
    success: str = ""
    remark: str = ""
    call: Callable[..., Any] = call_directly
    rtol: float = 1e-4
    atol: float = 1e-5
    exact_dtype: bool = False
    mutates: bool = False

    def __post_init__(self) -> None:
        if not ID_PATTERN.fullmatch(self.id):
            raise ValueError(f"exercise id {self.id!r}: write it as '07.scaled_scores'")
        if len(self.misconceptions) < 3:
            raise ValueError(f"{self.id}: {len(self.misconceptions)} misconceptions, 3 are needed")
        if len(self.nudges) < 2:
            raise ValueError(f"{self.id}: {len(self.nudges)} nudges, 2 are needed")

    @property
    def chapter(self) -> str:
        """The chapter's number as two digits."""
        return self.id[:2]

    @property
    def name(self) -> str:
        """The name that the reader's function has."""
        return self.solution.__name__

    @property
    def parameters(self) -> list[str]:
        """Names of the arguments of one case, as the solution calls them."""
        if self.call is call_directly:
            return list(inspect.signature(self.solution).parameters)
        return list(inspect.signature(self.call).parameters)[1:]

    def all_cases(self, seed: int = 0) -> list[Case]:
        """The printed example, then the drawn cases. The same seed draws the same inputs."""
        with plain_defaults():
            return [self.example, *self.cases(torch.Generator().manual_seed(seed))]


def chapters() -> list[str]:
    """Two-digit numbers of the chapters that have exercises, in order."""
    return sorted(path.stem[2:] for path in Path(__file__).parent.glob("ch[0-9][0-9].py"))


def chapter_module(number: str) -> ModuleType:
    """The file of a chapter's exercises, imported now if it was not.

    Raises:
        UnknownExercise: the chapter has no exercises.
    """
    if number not in chapters():
        sentence = translate("Chapter {number} has no exercises. Chapters that do: {listed}.")
        listed = ", ".join(chapters()) or translate("none yet")
        raise UnknownExercise(sentence.format(number=repr(number), listed=listed))
    with plain_defaults():  # the printed examples are made at import
        return importlib.import_module(f"{__package__}.ch{number}")


def chapter_exercises(number: str) -> list[Exercise]:
    """The exercises of a chapter, in the order of the notebook."""
    return list(chapter_module(number).EXERCISES)


def chapter_quiz(number: str) -> list[Question]:
    """The quiz questions of a chapter."""
    return list(chapter_module(number).QUIZ)


def find(exercise_id: str) -> Exercise:
    """The exercise called ``exercise_id``.

    Raises:
        UnknownExercise: there is none; the message proposes the nearest.
    """
    if not isinstance(exercise_id, str) or not ID_PATTERN.fullmatch(exercise_id):
        raise UnknownExercise(
            say(
                '{id} is no exercise id. Write it as in grade("07.scaled_scores", …).',
                id=repr(exercise_id),
            )
        )
    exercises = {exercise.id: exercise for exercise in chapter_exercises(exercise_id[:2])}
    if exercise_id in exercises:
        return exercises[exercise_id]
    near = difflib.get_close_matches(exercise_id, exercises, n=1) or list(exercises)
    raise UnknownExercise(
        say(
            "There is no exercise {id}. Did you mean {near}?",
            id=repr(exercise_id),
            near=", ".join(near),
        )
    )
