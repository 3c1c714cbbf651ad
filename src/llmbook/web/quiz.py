"""Multiple-choice questions whose every answer explains itself."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmbook.language import translate
from llmbook.web.component import Component


def _field(question: Any, name: str) -> Any:
    found = question.get(name) if isinstance(question, Mapping) else getattr(question, name, None)
    if found is None:
        raise ValueError(f"a question lacks {name!r}: {question!r}")
    return found


def checked_question(question: Any) -> dict[str, object]:
    """A question as plain data in the chosen language, or the reason why it is none."""
    text, choices = str(_field(question, "text")), [str(c) for c in _field(question, "choices")]
    answer, why = int(_field(question, "answer")), [str(w) for w in _field(question, "why")]
    if len(choices) < 2:
        raise ValueError(f"the question {text!r} needs at least two choices")
    if not 0 <= answer < len(choices):
        raise ValueError(
            f"the answer of {text!r} is {answer}, but there are {len(choices)} choices"
        )
    if len(why) != len(choices):
        raise ValueError(f"{text!r} has {len(choices)} choices, but {len(why)} explanations")
    return {
        "text": translate(text),
        "choices": [translate(choice) for choice in choices],
        "answer": answer,
        "why": [translate(reason) for reason in why],
    }


def rich(text: str) -> str:
    """Escaped HTML in which `code` in backticks becomes code and *stress* becomes stress."""
    parts = re.split(r"(`[^`]+`|\*[^*\s][^*]*\*)", html.escape(text, quote=False))
    for i in range(1, len(parts), 2):
        name = "code" if parts[i][0] == "`" else "em"
        parts[i] = f"<{name}>{parts[i][1:-1]}</{name}>"
    return "".join(parts)


def quiz(questions: Sequence[Any], *, title: str = "Quiz", caption: str = "") -> Component:
    """Ask questions, and answer every choice with its own explanation.

    Args:
        questions: ``llmbook.exercises`` questions or dictionaries with ``text``, ``choices``,
            ``answer`` (the index of the right choice) and ``why`` (one explanation per choice).
    Raises:
        ValueError: for a question that is incomplete.
    """
    checked = [checked_question(question) for question in questions]
    if not checked:
        raise ValueError("a quiz needs at least one question")
    title = translate(title, "quiz")
    data: dict[str, object] = {"title": title, "questions": checked}
    summary = f"{len(checked)} question{'s' if len(checked) > 1 else ''}"
    return Component("quiz", data, static_quiz(title, checked), summary, caption)


def static_quiz(title: str, questions: Sequence[dict[str, Any]]) -> str:
    """Questions with their choices, the answers in a closed ``details`` element."""
    items = ""
    for question in questions:
        choices = "".join(f"<li>{rich(choice)}</li>" for choice in question["choices"])
        answers = ""
        for i, (choice, why) in enumerate(zip(question["choices"], question["why"], strict=True)):
            right, wrong = translate("Right.", "quiz.right"), translate("Not quite.", "quiz.wrong")
            verdict = f"<strong>{right if i == question['answer'] else wrong}</strong>"
            line = translate("{choice}: {verdict} {why}", "quiz")
            shown = line.format(choice=rich(choice), verdict=verdict, why=rich(why))
            answers += f"<li>{shown}</li>"
        items += (
            f"<li><p>{rich(question['text'])}</p><ul>{choices}</ul>"
            f"<details><summary>{translate('Answers', 'quiz')}</summary>"
            f"<ul>{answers}</ul></details></li>"
        )
    return f"<p><strong>{html.escape(title)}</strong></p><ol>{items}</ol>"
