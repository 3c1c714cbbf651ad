"""The package speaks the language that is chosen, and English where nothing else exists."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmbook import language
from llmbook.exercises import core, grade, handin, hint, show_solution
from llmbook.exercises.compare import difference
from llmbook.exercises.describe import describe, sketch
from llmbook.exercises.stubs import stub
from llmbook.language import translate
from llmbook.web import assets, quiz, step_generator
from llmbook.web.labels import LABELS

STEP = {"tokens": [" a", " b"], "probs": [0.5, 0.25], "chosen": " b", "prob": 0.25}
SOFTMAX = "01.softmax_with_temperature"


@pytest.fixture
def chinese(monkeypatch):
    """The package speaks Simplified Chinese."""
    monkeypatch.setenv(language.VARIABLE, "zh_CN")


@pytest.fixture(autouse=True)
def english_unless_chosen(monkeypatch):
    monkeypatch.delenv(language.VARIABLE, raising=False)
    language.asked()


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)


def test_without_a_choice_every_message_is_english():
    assert language.language() == "en"
    assert translate("Right.", "quiz.right") == "Right."
    assert language.asked() == {}


def test_english_can_be_chosen_and_an_empty_choice_is_english(monkeypatch):
    for value in ("en", ""):
        monkeypatch.setenv(language.VARIABLE, value)
        assert language.language() == "en"


def test_a_language_that_does_not_exist_is_named_with_those_that_do(monkeypatch):
    monkeypatch.setenv(language.VARIABLE, "tlh")
    with pytest.raises(ValueError, match=r"LLMBOOK_LANG is 'tlh'.*set it to en or zh_CN"):
        translate("Right.")
    with pytest.raises(ValueError, match="'tlh'"):
        language.catalogue("tlh")


def test_a_message_without_translation_stays_english(chinese):
    assert translate("A sentence that no catalogue holds.") == "A sentence that no catalogue holds."
    assert translate("") == ""


def test_the_context_chooses_among_messages_that_are_alike_in_english(chinese):
    assert is_chinese(translate("Right.", "quiz.right"))
    assert translate("Right.", "no such context") == "Right."
    assert translate("Right.", "quiz.right", to="en") == "Right."


def test_what_was_looked_up_is_told_once(chinese):
    found = translate("Right.", "quiz.right")
    translate("Nowhere.")
    assert language.asked() == {("quiz.right", "Right."): found, ("", "Nowhere."): "Nowhere."}
    assert language.asked() == {}


def test_a_mark_changes_nothing():
    assert language.mark("a message") == "a message"


# The grader ---------------------------------------------------------------------------------------


def test_a_right_answer_is_praised_in_chinese(chinese):
    exercise = core.find(SOFTMAX)
    result = grade(SOFTMAX, exercise.solution)
    assert result.passed
    assert is_chinese(result.message)
    assert translate(exercise.success) in result.message


def test_a_known_mistake_gets_its_own_hint_in_chinese(chinese):
    exercise = core.find(SOFTMAX)
    for mistake in exercise.misconceptions[:3]:
        result = grade(SOFTMAX, mistake.wrong)
        assert result.misconception == mistake.name
        assert translate(mistake.hint) in result.message
        assert is_chinese(result.message.splitlines()[-1])


def test_a_stub_and_an_unknown_exercise_are_answered_in_chinese(chinese, capsys):
    assert is_chinese(grade(SOFTMAX, stub(core.find(SOFTMAX))).message)
    assert is_chinese(grade("01.nothing", print).message)
    hint("99.nothing")
    assert is_chinese(capsys.readouterr().out)


def test_hints_and_solutions_are_unfolded_in_chinese(chinese, capsys):
    exercise = core.find(SOFTMAX)
    hint(SOFTMAX)
    show_solution(SOFTMAX)
    shown = capsys.readouterr().out
    assert translate(exercise.nudges[0]) in shown
    assert translate(exercise.remark) in shown
    assert exercise.nudges[0] not in shown


def test_differences_are_told_in_chinese_with_their_numbers(chinese):
    clause = difference(list(range(7)), [0, 1, 2, 3, 4, 5, 9])
    assert is_chinese(clause)
    assert "6" in clause
    assert "9" in clause
    assert is_chinese(describe([1, 2, 3]))
    assert sketch(object()) == "object"


def test_the_report_of_a_notebook_is_in_chinese_and_its_data_are_not(chinese):
    one = handin.ExerciseReport(SOFTMAX, "Temperature", "passed")
    report = handin.Report("01.ipynb", ["01"], [one])
    assert is_chinese(handin.table(report))
    assert report.as_dict()["exercises"][0]["status"] == "passed"


def test_the_command_line_grades_in_the_chosen_language(chinese, tmp_path):
    path = tmp_path / "01.ipynb"
    path.write_text('{"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}')
    command = [sys.executable, "-m", "llmbook", "grade", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert is_chinese(done.stdout)


# Components ---------------------------------------------------------------------------------------


def test_the_labels_of_a_language_have_the_keys_and_places_of_the_english_ones():
    labels = assets.labels_in("zh_CN")
    assert {c: set(words) for c, words in labels.items()} == {
        c: set(words) for c, words in LABELS.items()
    }
    assert is_chinese(labels["quiz"]["right"])
    assert assets.labels_in() == LABELS


def test_a_component_carries_labels_caption_and_picture_in_the_chosen_language(chinese):
    shown = step_generator("It is", [STEP], caption="Eight best, one drawn.").to_html()
    assert assets.labels_in()["step_generator"]["next"] in shown
    assert LABELS["step_generator"]["next"] not in shown.split("llmbook.label(")[1].split(");")[0]
    assert is_chinese(shown.split("<caption>")[1].split("</caption>")[0])


def test_a_component_is_english_again_when_the_choice_is_gone(monkeypatch):
    english = step_generator("It is", [STEP]).to_html()
    monkeypatch.setenv(language.VARIABLE, "zh_CN")
    assert step_generator("It is", [STEP]).to_html() != english
    monkeypatch.delenv(language.VARIABLE)
    assert step_generator("It is", [STEP]).to_html() == english


def test_a_quiz_asks_in_chinese(chinese):
    question = core.chapter_quiz("07")[0]
    shown = quiz([question]).to_html(inline=False)
    assert translate(question.choices[0]) in shown
    assert question.choices[0] not in shown
