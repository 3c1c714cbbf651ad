"""Exercises that know the mistakes: grade an answer, ask for a hint, unfold the solution.

A chapter's exercises are in ``chNN.py`` and are imported when they are first asked for.
"""

from __future__ import annotations

from collections import Counter

from llmbook.exercises import render
from llmbook.exercises.core import UnknownExercise, chapter_quiz, find
from llmbook.exercises.grading import GradeResult, grade

__all__ = ["GradeResult", "grade", "hint", "quiz", "show_solution"]

_hints_shown: Counter[str] = Counter()


def hint(exercise_id: str) -> None:
    """Show a nudge; called again, one more each time, then the common mistakes."""
    try:
        exercise = find(exercise_id)
    except UnknownExercise as unknown:
        print(f"✗ {unknown}")
        return
    _hints_shown[exercise_id] += 1
    render.show(render.hints(exercise, _hints_shown[exercise_id]))


def show_solution(exercise_id: str) -> None:
    """Show the solution, folded: open it when you want to read it."""
    try:
        render.show(render.solution(find(exercise_id)))
    except UnknownExercise as unknown:
        print(f"✗ {unknown}")


def quiz(chapter: str) -> object:
    """The chapter's quiz, to be answered in the page: make it the last line of a cell."""
    from llmbook import web

    return web.quiz(chapter_quiz(chapter))
