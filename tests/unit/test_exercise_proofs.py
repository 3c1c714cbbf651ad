"""Every exercise keeps its promises: the solution passes, each mistake gets its own hint."""

import json
from itertools import combinations
from pathlib import Path

import pytest

from llmbook.exercises import core
from llmbook.exercises.cells import refresh, wanted_cells
from llmbook.exercises.diagnosis import (
    misconception_outcomes,
    problem,
    same,
    solution_outcomes,
    tolerance_of,
)
from llmbook.exercises.grading import judge
from llmbook.exercises.stubs import stub

SEEDS = [0, 1, 2]  # what holds for one draw must not hold by luck
PATIENCE = 120.0  # seconds: a busy machine is no endless loop
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHAPTERS = core.chapters()
EXERCISES = [exercise for number in CHAPTERS for exercise in core.chapter_exercises(number)]
MISTAKES = [(exercise, m) for exercise in EXERCISES for m in exercise.misconceptions]
QUESTIONS = [(number, q) for number in CHAPTERS for q in core.chapter_quiz(number)]

per_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
per_mistake = pytest.mark.parametrize(
    ("exercise", "mistake"), MISTAKES, ids=[f"{e.id}-{m.name}" for e, m in MISTAKES]
)
per_seed = pytest.mark.parametrize("seed", SEEDS)
per_chapter = pytest.mark.parametrize("number", CHAPTERS)


@per_exercise
@per_seed
def test_the_solution_passes(exercise, seed):
    result = judge(exercise, exercise.solution, seed=seed, seconds=PATIENCE)
    assert result.status == "passed", result.message


@per_exercise
def test_the_stub_is_not_attempted_yet(exercise):
    assert judge(exercise, stub(exercise)).status == "not attempted"


@per_mistake
@per_seed
def test_each_misconception_is_caught_with_its_own_hint(exercise, mistake, seed):
    result = judge(exercise, mistake.wrong, seed=seed, seconds=PATIENCE)
    assert result.misconception == mistake.name, result.message
    assert mistake.hint in result.message


@per_exercise
@per_seed
def test_solution_and_misconceptions_differ_pairwise(exercise, seed):
    tolerance = tolerance_of(exercise)
    names = [m.name for m in exercise.misconceptions]
    outcomes = dict(zip(names, misconception_outcomes(exercise, seed), strict=True))
    outcomes["(solution)"] = solution_outcomes(exercise, seed)
    alike = [
        (a, b)
        for a, b in combinations(outcomes, 2)
        if all(same(x, y, tolerance) for x, y in zip(outcomes[a], outcomes[b], strict=True))
    ]
    assert alike == []


@per_exercise
def test_the_printed_example_written_into_the_answer_fails(exercise):
    printed = exercise.call(exercise.solution, *exercise.example.args)
    if isinstance(exercise.solution, type):
        pytest.skip("a class has no single printed value to return")
    result = judge(exercise, lambda *args: printed)
    assert not result.passed, result.message


@per_exercise
def test_other_seeds_draw_other_inputs(exercise):
    tolerance = tolerance_of(exercise)
    right = [solution_outcomes(exercise, seed) for seed in (0, 1)]
    pairs = list(zip(*right, strict=True))
    assert len(exercise.all_cases()) >= 4
    assert any(problem(a, b, tolerance) for a, b in pairs), "the cases ignore their generator"


@per_exercise
def test_ids_names_and_texts_are_complete(exercise):
    assert exercise.chapter in CHAPTERS
    assert exercise in core.chapter_exercises(exercise.chapter)
    assert exercise.id == f"{exercise.chapter}.{exercise.name}"
    assert len(exercise.misconceptions) >= 3
    assert len(exercise.nudges) >= 2
    names = [m.name for m in exercise.misconceptions]
    assert len(set(names)) == len(names)
    hints = [m.hint for m in exercise.misconceptions]
    assert len(set(hints)) == len(hints)
    assert f"`{exercise.name}" in exercise.statement
    for text in [exercise.title, exercise.statement, *hints, *exercise.nudges]:
        assert text.strip()
    for text in [*hints, *exercise.nudges, exercise.remark]:
        assert "$" not in text, f"no LaTeX in hints: {text}"


@per_chapter
def test_every_exercise_has_its_own_id_and_chapters_three_or_four(number):
    ids = [exercise.id for exercise in core.chapter_exercises(number)]
    assert len(set(ids)) == len(ids)
    assert 3 <= len(ids) <= 4
    assert all(i.startswith(number) for i in ids)


@pytest.mark.parametrize(
    ("number", "question"), QUESTIONS, ids=[f"{n}-{q.text[:30]}" for n, q in QUESTIONS]
)
def test_a_quiz_question_explains_every_choice(number, question):
    assert len(question.choices) >= 2
    assert len(set(question.choices)) == len(question.choices)
    assert 0 <= question.answer < len(question.choices)
    assert len(question.why) == len(question.choices)
    assert all(text.strip() for text in [question.text, *question.choices, *question.why])


@per_chapter
def test_a_quiz_has_three_questions_or_more_and_no_favourite_place(number):
    questions = core.chapter_quiz(number)
    assert len(questions) >= 3
    assert len({question.answer for question in questions}) > 1


def _notebook_of(number: str) -> Path:
    found = sorted(NOTEBOOKS.glob(f"{number}_*.ipynb"))
    if not found:
        pytest.skip(f"chapter {number} has no notebook yet")
    return found[0]


@per_chapter
def test_the_notebook_shows_the_exercises_as_they_are_written(number):
    notebook = json.loads(_notebook_of(number).read_text(encoding="utf-8"))
    present = {cell["id"] for cell in notebook["cells"]}
    missing = [cell_id for cell_id in wanted_cells(number) if cell_id not in present]
    assert missing == [], "add these cells with llmbook.exercises.cells.exercise_cells"
    assert refresh(notebook, number) == [], "run python -m llmbook.exercises.cells NOTEBOOK"
