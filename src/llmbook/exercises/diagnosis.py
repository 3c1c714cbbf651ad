"""Which known misconception does an answer show? Same results where it departs from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from llmbook.exercises.compare import Tolerance, difference
from llmbook.exercises.core import Exercise, Misconception
from llmbook.exercises.outcomes import Outcome, run_case, run_property
from llmbook.language import say, translate


def tolerance_of(exercise: Exercise) -> Tolerance:
    """The exercise's tolerances."""
    return Tolerance(exercise.rtol, exercise.atol, exercise.exact_dtype)


def run_all(exercise: Exercise, answer: object, seed: int = 0) -> list[Outcome]:
    """Outcomes of an answer on every case, then on every property, in order."""
    outcomes = [run_case(exercise, answer, case) for case in exercise.all_cases(seed)]
    return outcomes + [run_property(law, answer) for law in exercise.properties]


@lru_cache(maxsize=64)
def solution_outcomes(exercise: Exercise, seed: int) -> tuple[Outcome, ...]:
    """What the solution gives on the grader's inputs (kept, for the next try)."""
    return tuple(run_all(exercise, exercise.solution, seed))


@lru_cache(maxsize=64)
def misconception_outcomes(exercise: Exercise, seed: int) -> tuple[tuple[Outcome, ...], ...]:
    """What each misconception gives on the grader's inputs."""
    return tuple(tuple(run_all(exercise, m.wrong, seed)) for m in exercise.misconceptions)


def problem(right: Outcome, got: Outcome, tolerance: Tolerance) -> str | None:
    """How an outcome departs from the right one, as a clause, or None. Exceptions included."""
    if right.error is not None:
        wanted = type(right.error).__name__
        if got.error is None:
            return say("expected the exception {wanted}, but nothing was raised", wanted=wanted)
        if isinstance(got.error, type(right.error)):
            return None
        return say(
            "expected the exception {wanted}, got {got}",
            wanted=wanted,
            got=type(got.error).__name__,
        )
    if got.error is not None:
        return say("it raised {error}", error=type(got.error).__name__)
    apart = difference(right.value, got.value, tolerance)
    if apart is None and got.changed:
        names = translate(" and ").join(f"`{name}`" for name in got.changed)
        clause = translate(
            "the result is right, but the function changes its argument {names} in place; "
            "work on a copy (`new = list({name})` for a list, `{name}.clone()` for a tensor)"
        )
        return clause.format(names=names, name=got.changed[0])
    return apart


def same(a: Outcome, b: Outcome, tolerance: Tolerance) -> bool:
    """Whether two outcomes show the same behaviour: equal values, or exceptions of one type."""
    if a.error is not None or b.error is not None:
        return type(a.error) is type(b.error)
    return a.changed == b.changed and difference(a.value, b.value, tolerance) is None


def _is_evidence(a: Outcome, b: Outcome) -> bool:
    """Equal values and equal messages tell; two exceptions of one type may have two causes."""
    return a.error is None or str(a.error) == str(b.error)


def shown_misconception(
    exercise: Exercise, outcomes: Sequence[Outcome], seed: int
) -> Misconception | None:
    """The misconception that the outcomes show, or None.

    It must agree with the outcomes on every input on which it departs from the solution, and
    explain at least half of the inputs on which the answer is wrong: a mistake at an edge,
    met by chance, is not what a wholly wrong answer needs to hear about. Among those that do,
    the one that agrees on most inputs is chosen.
    """
    tolerance = tolerance_of(exercise)
    right = solution_outcomes(exercise, seed)
    failed = [i for i, got in enumerate(outcomes) if problem(right[i], got, tolerance)]
    best: tuple[int, Misconception | None] = (0, None)
    for misconception, wrong in zip(
        exercise.misconceptions, misconception_outcomes(exercise, seed), strict=True
    ):
        agrees = [same(a, b, tolerance) for a, b in zip(wrong, outcomes, strict=True)]
        telling = [i for i, w in enumerate(wrong) if problem(right[i], w, tolerance)]
        if not all(agrees[i] for i in telling):
            continue
        if not any(_is_evidence(wrong[i], outcomes[i]) for i in telling):
            continue
        if 2 * sum(agrees[i] for i in failed) < len(failed):
            continue
        if sum(agrees) > best[0]:
            best = sum(agrees), misconception
    return best[1]
