"""Grade an answer: a tick, the hint that a mistake deserves, or the first case that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmbook.exercises import learner
from llmbook.exercises.compare import Tolerance
from llmbook.exercises.core import Case, Exercise, UnknownExercise, call_directly, find
from llmbook.exercises.describe import describe, sketch
from llmbook.exercises.diagnosis import (
    problem,
    shown_misconception,
    solution_outcomes,
    tolerance_of,
)
from llmbook.exercises.outcomes import Outcome, run_case, run_property
from llmbook.exercises.relation import relation
from llmbook.exercises.timeout import TimeUp, can_interrupt, time_limit
from llmbook.language import say, translate

Status = Literal["passed", "misconception", "failed", "not attempted", "error", "timed out"]
TIME_LIMIT = 10.0
_told_about_limit = False


@dataclass(frozen=True)
class GradeResult:
    """What the grader found. A notebook shows the printed message only, not this object."""

    exercise: str
    status: Status
    message: str
    misconception: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == "passed"

    def __bool__(self) -> bool:
        return self.passed

    def _ipython_display_(self) -> None:
        """Show nothing: the message is already printed."""


def grade(exercise_id: str, answer: Any, *, seconds: float = TIME_LIMIT) -> GradeResult:
    """Check an answer, print what was found, and return it.

    Args:
        exercise_id: such as ``"07.scaled_scores"``.
        answer: the function itself, without brackets.
        seconds: an answer that runs longer in all is cut off (where the platform can).
    """
    try:
        exercise = find(exercise_id)
    except UnknownExercise as unknown:
        result = GradeResult(str(exercise_id), "error", f"✗ {unknown}")
    else:
        _tell_once_about_limit()
        result = judge(exercise, answer, seconds=seconds)
    print(result.message)
    return result


def judge(
    exercise: Exercise, answer: Any, *, seed: int = 0, seconds: float = TIME_LIMIT
) -> GradeResult:
    """Grade without printing. Another seed draws other cases."""
    refusal = _refusal(exercise, answer)
    if refusal:
        message = say("{id}: {reason}.", id=exercise.id, reason=refusal)
        return GradeResult(exercise.id, "error", f"✗ {message}")
    right = solution_outcomes(exercise, seed)
    cases = exercise.all_cases(seed)
    outcomes: list[Outcome] = []
    try:
        with time_limit(seconds):
            for case in cases:
                outcomes.append(run_case(exercise, answer, case))
                if _not_attempted(outcomes[0]):
                    break
            else:
                outcomes += [run_property(law, answer) for law in exercise.properties]
    except TimeUp as cut:
        return _timed_out(exercise, cases, len(outcomes), cut, seconds)
    except KeyboardInterrupt:
        message = say("{id}: you interrupted the grader.", id=exercise.id)
        return GradeResult(exercise.id, "error", f"✗ {message}")
    if _not_attempted(outcomes[0]):
        message = translate('{id}: not attempted yet. hint("{id}") gives a nudge.')
        return GradeResult(exercise.id, "not attempted", f"○ {message.format(id=exercise.id)}")
    return _verdict(exercise, cases, right, outcomes, seed)


def _verdict(
    exercise: Exercise,
    cases: list[Case],
    right: Sequence[Outcome],
    outcomes: Sequence[Outcome],
    seed: int,
) -> GradeResult:
    tolerance = tolerance_of(exercise)
    clauses = [problem(r, o, tolerance) for r, o in zip(right, outcomes, strict=True)]
    first = next((i for i, clause in enumerate(clauses) if clause), None)
    if first is None:
        return GradeResult(exercise.id, "passed", _tick(exercise, len(cases)))
    clause = say("{clause}.", clause=clauses[first])
    shown = shown_misconception(exercise, outcomes, seed)
    if shown is not None:
        seen = _report(exercise, cases, first, clause, outcomes[first], right[first])
        message = say(
            "{id}: {hint}\n  Seen in {report}",
            id=exercise.id,
            hint=translate(shown.hint),
            report=seen,
        )
        return GradeResult(exercise.id, "misconception", f"✗ {message}", shown.name)
    clause += _pattern(right, outcomes, first, tolerance)
    report = _report(exercise, cases, first, clause, outcomes[first], right[first])
    n_right = sum(clause is None for clause in clauses[: len(cases)])
    if 0 < n_right < len(cases):
        right_on = say("Right on {n} of {all} cases.", n=n_right, all=len(cases))
        report += f"\n  {right_on}"
    status: Status = "failed" if _is_wrong_value(outcomes[first], right[first]) else "error"
    message = say("{id}, {report}", id=exercise.id, report=report)
    return GradeResult(exercise.id, status, f"✗ {message}")


def _pattern(
    right: Sequence[Outcome], got: Sequence[Outcome], first: int, tolerance: Tolerance
) -> str:
    """What the wrong results have to do with the right ones, where a case tells it."""
    told = {
        i: sentence
        for i, (r, o) in enumerate(zip(right, got, strict=True))
        if (sentence := relation(r.value, o.value, tolerance))
    }
    if not told:
        return ""
    if first in told:
        return say(" {sentence}", sentence=told[first])
    index, sentence = next(iter(told.items()))
    clause = f"{sentence[0].lower()}{sentence[1:]}"
    return say(" In case {n}: {clause}", n=index + 1, clause=clause)


def _is_wrong_value(got: Outcome, right: Outcome) -> bool:
    """Wrong rather than broken: a value, a law that fails, or the wrong one of two exceptions."""
    return got.error is None or right.error is not None or got.broken_law


def _tick(exercise: Exercise, n_cases: int) -> str:
    laws = len(exercise.properties)
    if laws == 1:
        right = translate("{id}: right on {n} cases and 1 law.")
    elif laws:
        right = translate("{id}: right on {n} cases and {laws} laws.")
    else:
        right = translate("{id}: right on {n} cases.")
    found = right.format(id=exercise.id, n=n_cases, laws=laws)
    if exercise.success:
        found += say(" {sentence}", sentence=translate(exercise.success))
    return f"✓ {found}"


def _report(
    exercise: Exercise,
    cases: list[Case],
    index: int,
    clause: str,
    got: Outcome,
    right: Outcome,
) -> str:
    """The first failing case, or law, with its numbers, and what the answer printed there."""
    lines = []
    if index < len(cases):
        where, given = _case_name(index, cases[index]), _given(exercise, cases[index])
    else:
        law = exercise.properties[index - len(cases)]
        broken = translate("a law that does not hold: {law}")
        where, given = broken.format(law=translate(law.sentence)), ""
    if got.error is not None and right.error is None:
        if got.broken_law:
            sentence = translate(str(got.error))
            lines.append((where + say(" {sentence}", sentence=sentence)).rstrip())
        else:
            lines.append(
                say(
                    "{place}: your function raised {error}",
                    place=where,
                    error=learner.what_happened(got.error),
                )
            )
            line = learner.line_of(got.error)
            lines += [say("in {line}", line=line)] if line else []
            advice = learner.advice(got.error)
            lines += [advice] if advice else []
    else:
        lines.append(say("{place}: {clause}", place=where, clause=clause))
    lines += [say("Given: {arguments}.", arguments=given)] if given else []
    if got.printed.strip():
        printed = " | ".join(got.printed.splitlines()[:5])
        lines.append(say("Printed by your function: {text}", text=printed))
    return "\n  ".join(lines)


def _case_name(index: int, case: Case) -> str:
    if case.note:
        return say("case {n} ({note})", n=index + 1, note=translate(case.note))
    return say("case {n}", n=index + 1)


def _given(exercise: Exercise, case: Case) -> str:
    names = [*exercise.parameters, *("?" * len(case.args))]
    parts = [f"{n} = {sketch(v)}" for n, v in zip(names, case.args, strict=False)]
    return ", ".join(parts)


def _refusal(exercise: Exercise, answer: Any) -> str | None:
    """Why this cannot be graded at all: no function, or one that takes other arguments."""
    if not callable(answer):
        call = f'grade("{exercise.id}", {exercise.name})'
        return say(
            "give the function itself, without brackets: {call}. This is {value}",
            call=call,
            value=describe(answer),
        )
    if exercise.call is call_directly:
        return learner.signature_problem(answer, exercise.parameters[: len(exercise.example.args)])
    return None


def _not_attempted(outcome: Outcome) -> bool:
    """The stub's own exception; PyTorch raises the same type, with a message."""
    return isinstance(outcome.error, NotImplementedError) and not str(outcome.error)


def _timed_out(
    exercise: Exercise, cases: list[Case], done: int, cut: TimeUp, seconds: float
) -> GradeResult:
    where = _case_name(done, cases[done]) if done < len(cases) else translate("a law")
    line = learner.line_of(cut)
    if line:
        message = translate(
            "{id}: cut off after {seconds} seconds in {place}, at {line}. "
            "Does every loop come to an end?"
        )
    else:
        message = translate(
            "{id}: cut off after {seconds} seconds in {place}. Does every loop come to an end?"
        )
    message = message.format(id=exercise.id, seconds=f"{seconds:g}", place=where, line=line)
    return GradeResult(exercise.id, "timed out", f"✗ {message}")


def _tell_once_about_limit() -> None:
    global _told_about_limit
    if not can_interrupt() and not _told_about_limit:
        _told_about_limit = True
        print(
            translate(
                "Here an endless loop cannot be cut off: if no answer comes, interrupt the kernel "
                "(Kernel → Interrupt)."
            )
        )
